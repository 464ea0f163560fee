-- Take from all rules, or from none; of two demands, what both ask for, or nothing.
-- KEYS     the records of the grants
-- ARGV     of each two: how much it is, after what it is of
--   {from, until, lease, kept, rules...}, packed: valid while from <= now < until (0: for ever)
--     sliding      {1 requests | 2 tokens, key, limit, hard, milliseconds}
--     concurrency  {3, key, limit, hard}
--     money        {4, ...}: common.lua
--   "tokens money least not-after at not-before", times in milliseconds; `at` stands for the server's
--   clock where windows are meant, 0: it is the server's; the times of the first are those of both
-- Answers  {0, now, money, how every rule stands, the tightest, and these again of a second} granted;
--          the tightest: {limit on requests, its total, its newest bucket, the same of tokens,
--          what is left of money}, limits by their place, -1: there is none; of money -2: it is more
--          than a number here can tell
--          {1, now, which rule, until it opens or -1, how it stands} denied
--          {2, now} the caller's idea of the time is wrong, {3, now} the id was used before

local clock = server_time()
local now, later = nil, 0
local denied, wait, worst

local function question(record, packed, asked)
  local tokens, money, least, not_after, at, not_before =
    string.match(asked, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not now then
    now = tonumber(at)
    if now == 0 then now = clock end
    now = math.max(now, tonumber(not_before))
  end
  local quota = cmsgpack.unpack(packed)
  if now < quota[1] or (quota[2] > 0 and now >= quota[2]) or clock > tonumber(not_after) then
    return nil
  end
  money = tonumber(money)
  return {
    record = record, packed = packed, quota = quota, tokens = tonumber(tokens), money = money,
    least = tonumber(least), give = money,
    tight = {-1, 0, 0, -1, 0, 0, -1}, parts = {-1, -1}, money_left = nil,
    levels = {}, totals = {}, buckets = {}, before = {}, first = {},
  }
end

-- Forget the buckets that have left the window. Of the hash of a rule: t total, o oldest bucket that
-- may be there (the newest is o + 60), n the newest that something was taken in, and the buckets.
local function slide(rule)
  local bucket = floor(now * 60 / rule[5])
  local kept = call('HMGET', rule[2], 't', 'o', 'n', int(bucket))
  local total, oldest = tonumber(kept[1]), tonumber(kept[2])
  if not total then return 0, bucket, nil, nil end
  local first = bucket - 60
  if first == oldest then return total, bucket, tonumber(kept[3]), kept[4] end
  if first < oldest then return nil, oldest + 60 end
  if first > oldest + 60 then
    call('DEL', rule[2])
    return 0, bucket, nil, nil
  end
  local names = {}
  for i = oldest, first - 1 do names[#names + 1] = int(i) end
  for _, amount in ipairs(call('HMGET', rule[2], unpack(names))) do
    total = total - (amount or 0)
  end
  call('HDEL', rule[2], unpack(names))
  call('HSET', rule[2], 't', int(total), 'o', int(first))
  return total, bucket, tonumber(kept[3]), kept[4]
end

-- Milliseconds until `need` of what was taken has left the window.
local function opens(rule, bucket, need)
  local names = {}
  for i = bucket - 60, bucket do names[#names + 1] = int(i) end
  for i, amount in ipairs(call('HMGET', rule[2], unpack(names))) do
    need = need - (amount or 0)
    if need <= 0 then
      return math.ceil((bucket + i) * rule[5] / 60) - now
    end
  end
  return -1
end

-- Of what a budget has left, one demand that can do with less gets this part at most.
local SHARE = 4

local function deny(i, milliseconds, ...)
  if not denied or (wait ~= -1 and (milliseconds == -1 or milliseconds > wait)) then
    denied, wait, worst = i, milliseconds, {...}
  end
end

local function look_sliding(q, i, rule)
  local total, bucket, newest, here = slide(rule)
  if not total then -- The clock was put back: a bucket that was left is not entered again.
    later = math.max(later, math.ceil(bucket * rule[5] / 60))
    return
  end
  local asked = rule[1] == 1 and 1 or q.tokens
  if rule[4] and asked > 0 and total + asked > rule[3] then
    local milliseconds = asked > rule[3] and -1 or opens(rule, bucket, total + asked - rule[3])
    deny(i, milliseconds, total, newest or 0)
  end
  local levels = q.levels
  q.totals[i], q.buckets[i], q.before[i] = total, bucket, here
  total, newest = total + asked, asked > 0 and bucket or newest or 0
  levels[#levels + 1] = total
  levels[#levels + 1] = newest
  local used = rule[3] > 0 and total / rule[3] or math.huge
  if used > q.parts[rule[1]] then
    local place = 3 * rule[1] - 2
    q.parts[rule[1]], q.tight[place], q.tight[place + 1], q.tight[place + 2] = used, i - 5, total, newest
  end
end

local function look_slots(q, i, rule)
  call('ZREMRANGEBYSCORE', rule[2], '-inf', int(clock))
  local live = call('ZCARD', rule[2])
  if rule[4] and live + 1 > rule[3] then
    deny(i, rule[3] > 0 and 1000 or -1, live, 0)
  end
  local levels = q.levels
  levels[#levels + 1] = live + 1
  levels[#levels + 1] = 0
end

local function look_money(q, i, rule)
  local rest, taken, carried, newest = left(rule)
  if newest and newest > rule[6] then -- The clock was put back: a window that ended stays so.
    later = math.max(later, newest * 1000)
    return
  end
  if rule[5] then
    q.money_left = min(q.money_left or MOST, rest)
    rest = math.max(rest, 0)
    local least = q.least
    q.give = min(q.give, least < q.money and math.max(least, floor(rest / SHARE)) or rest)
    if rest < least then
      local fits = minus(rule[3], rule[4], 0, 0) >= least
      deny(i, fits and rule[7] > 0 and rule[7] - now or -1, taken or '0', carried)
    end
  end
  local levels = q.levels
  q.before[i], q.first[i] = taken, not newest
  levels[#levels + 1] = taken or '0'
  levels[#levels + 1] = carried
end

local look = {look_sliding, look_sliding, look_slots, look_money}
local questions = {}
for n = 1, #KEYS do
  local q = question(KEYS[n], ARGV[2 * n - 1], ARGV[2 * n])
  if not q then return {2, now, clock} end
  questions[n] = q
  local quota = q.quota
  for i = 5, #quota do look[quota[i][1]](q, i, quota[i]) end
end
if later > 0 then return {2, later, clock} end
if denied then
  return {1, now, denied - 5, wait, cmsgpack.pack(worst)}
end
for n, q in ipairs(questions) do
  if not write(q.record, now, q.tokens, q.give, q.packed, 'NX', 'PX', int(q.quota[4])) then
    if n > 1 then call('DEL', questions[1].record) end
    return {3, now}
  end
end

local function take_sliding(q, i, rule)
  local asked = rule[1] == 1 and 1 or q.tokens
  if asked == 0 then return end
  local bucket, here = int(q.buckets[i]), q.before[i]
  call('HSET', rule[2], 't', int(q.totals[i] + asked), 'o', int(q.buckets[i] - 60), 'n', bucket,
    bucket, int((here or 0) + asked))
  if not here then
    call('PEXPIRE', rule[2], int(2 * rule[5]))
  end
end

local function take_slot(q, _, rule)
  local lease = q.quota[3]
  call('ZADD', rule[2], int(clock + lease), q.record)
  call('PEXPIRE', rule[2], int(4 * lease))
end

local function take_money(q, i, rule)
  add(rule, q.give)
  if q.before[i] then return end
  local start = int(rule[6])
  call('HSET', rule[2], 'n', start)
  if q.first[i] then
    call('HSET', rule[2], 's', start)
  else
    for _, name in ipairs(call('HKEYS', rule[2])) do
      if (tonumber(name) or rule[11]) < rule[11] then call('HDEL', rule[2], name) end
    end
  end
  if rule[8] > 0 then
    call('EXPIRE', rule[2], int(rule[8] - floor(now / 1000)))
  end
end

local take = {take_sliding, take_sliding, take_slot, take_money}
local answer = {0, now}
for _, q in ipairs(questions) do
  local quota = q.quota
  for i = 5, #quota do take[quota[i][1]](q, i, quota[i]) end
  answer[#answer + 1] = q.give
  answer[#answer + 1] = cmsgpack.pack(q.levels)
  if q.money_left then
    q.tight[7] = q.money_left < MOST and math.max(q.money_left - q.give, 0) or -2
  end
  answer[#answer + 1] = q.tight
end
return answer
