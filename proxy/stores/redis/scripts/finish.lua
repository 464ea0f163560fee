-- End grants, or set right what they hold. Done once: the record says what is still open.
-- KEYS     the records of the grants
-- ARGV     of each: "settle tokens money" | "cancel" | "forget" (cancel; if it is not there yet, it never will
--          be) | "correct money" (for a worker that died) | "hold money" (less than was given)
-- Answers  how many of them were done; of the others there was nothing to do

local function charge(rules, money, truth)
  if not money or truth == money then return end
  for i = 5, #rules do
    if rules[i][1] == 4 then add(rules[i], truth - money) end
  end
end

-- What was taken moves in the bucket it was taken in; one that has left its window is past.
local function move(rule, at, by)
  if by == 0 then return end
  local bucket = floor(at * 60 / rule[5])
  local name = int(bucket)
  local kept = call('HMGET', rule[2], 't', 'o', 'n', name)
  local total, here = tonumber(kept[1]) or 0, tonumber(kept[4])
  if not here then -- Nothing was taken there, or all of it is past.
    if by < 0 or bucket < (tonumber(kept[2]) or bucket) then return end
    local newest = math.max(bucket, tonumber(kept[3]) or bucket)
    call('HSET', rule[2], 't', int(total + by), 'n', int(newest), name, int(by))
    if not kept[2] then
      call('HSET', rule[2], 'o', int(bucket - 60))
      call('PEXPIRE', rule[2], int(2 * rule[5]))
    end
    return
  end
  if bucket < tonumber(kept[2]) then return end
  if here + by < 0 then by = -here end
  call('HSET', rule[2], 't', int(total + by), name, int(here + by))
end

local function finish(record, said)
  local word, first, second = string.match(said, '^(%a+) ?(%d*) ?(%d*)$')
  local at, tokens, money, packed = read(record)
  if not at then
    if word == 'forget' then
      call('SET', record, '', 'NX', 'PX', 600000)
    end
    return 0
  end
  local rules = cmsgpack.unpack(packed)
  if word == 'correct' or word == 'hold' then
    if not money then return 0 end
    charge(rules, money, tonumber(first))
    write(record, at, tokens, word == 'hold' and tonumber(first) or nil, packed, 'KEEPTTL')
    return 1
  end
  local settled = word == 'settle'
  for i = 5, #rules do
    local rule = rules[i]
    if rule[1] == 1 and not settled then
      move(rule, at, -1)
    elseif rule[1] == 2 then
      move(rule, at, (settled and tonumber(first) or 0) - tokens)
    elseif rule[1] == 3 then
      call('ZREM', rule[2], record)
    end
  end
  charge(rules, money, settled and tonumber(second) or 0)
  call('DEL', record)
  return 1
end

local done = 0
for i = 1, #KEYS do done = done + finish(KEYS[i], ARGV[i]) end
return done
