-- End a grant, or set right what it holds. Done once: the record says what is still open.
-- KEYS[1]  the record of the grant
-- ARGV[1]  "settle tokens money" | "cancel" | "forget" (cancel; if it is not there yet, it never will
--          be) | "correct money" (for a worker that died) | "hold money" (less than was given)
-- Answers  1 done, 0 nothing to do

local word, first, second = string.match(ARGV[1], '^(%a+) ?(%d*) ?(%d*)$')
local at, tokens, money, packed = read(KEYS[1])
if not at then
  if word == 'forget' then
    call('SET', KEYS[1], '', 'NX', 'PX', 600000)
  end
  return 0
end
local rules = cmsgpack.unpack(packed)

local function charge(truth)
  if not money or truth == money then return end
  for i = 5, #rules do
    if rules[i][1] == 4 then add(rules[i], truth - money) end
  end
end

if word == 'correct' or word == 'hold' then
  if not money then return 0 end
  charge(tonumber(first))
  write(KEYS[1], at, tokens, word == 'hold' and tonumber(first) or nil, packed, 'KEEPTTL')
  return 1
end

-- What was taken moves in the bucket it was taken in; one that has left its window is past.
local function move(rule, by)
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

local settled = word == 'settle'
for i = 5, #rules do
  local rule = rules[i]
  if rule[1] == 1 and not settled then
    move(rule, -1)
  elseif rule[1] == 2 then
    move(rule, (settled and tonumber(first) or 0) - tokens)
  elseif rule[1] == 3 then
    call('ZREM', rule[2], KEYS[1])
  end
end
charge(settled and tonumber(second) or 0)
call('DEL', KEYS[1])
return 1
