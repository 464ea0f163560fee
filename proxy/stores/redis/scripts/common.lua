-- What the other scripts begin with: numbers, the clock, budgets, records of grants.
--
-- Amounts of money reach 10^18 nano-USD, and Lua's numbers are exact up to 2^53 only. So they live on
-- the server as integers that HINCRBY adds to, and are compared here in two parts of nine digits.
-- A number is never given to a command as it is: the server might write it as 1e+15.

local call, floor, min, format, sub = redis.call, math.floor, math.min, string.format, string.sub
local BASE, MOST = 1000000000, 9007199254740991

local function int(n)
  return format('%.0f', n)
end

local function server_time()
  local time = call('TIME')
  return time[1] * 1000 + floor(time[2] / 1000)
end

local function split(digits)
  if not digits then return 0, 0 end
  local sign = 1
  if sub(digits, 1, 1) == '-' then sign, digits = -1, sub(digits, 2) end
  return sign * (tonumber(sub(digits, 1, -10)) or 0), sign * tonumber(sub(digits, -9))
end

-- a - b in one number; where that would not be exact, the largest one of the same sign.
local function minus(ah, al, bh, bl)
  local high = ah - bh
  if high > 9007198 then return MOST end
  if high < -9007198 then return -MOST end
  return high * BASE + (al - bl)
end

-- So many millionths of an amount, rounded down.
local function part(amount, millionths)
  local low = math.fmod(amount, 1000000)
  return (amount - low) / 1000000 * millionths + floor(low * millionths / 1000000)
end

-- A budget as the caller packed it: {4, key, limit in dollars and nano-dollars, hard, start of the
-- window, its end or 0, when to forget all, millionths to carry over, for so many windows, the oldest
-- window to keep, starts of the windows before}. Its hash has what was taken, spent and held, by the
-- start of each window, n the newest of them and s the first.
local CARRIED = 11

-- What the windows before left of their limits, `taken` of each from the newest; what a window took
-- beyond its limit it took from the oldest rest that it could use.
local function rolled(rule, since, taken)
  local share, expires, count = rule[9], rule[10], #rule - CARRIED
  if count == 0 or not since then return 0 end
  local rests = {}
  for i = count, 1, -1 do
    if rule[CARRIED + i] >= since then
      local rest = minus(rule[3], rule[4], split(taken[i]))
      if rest >= 0 then
        rests[i] = part(rest, share)
      else
        for j = min(i + expires, count), i + 1, -1 do
          local used = min(rests[j] or 0, -rest)
          rests[j], rest = (rests[j] or 0) - used, rest + used
        end
      end
    end
  end
  local sum = 0
  for i = 1, min(expires, count) do sum = sum + (rests[i] or 0) end
  return min(sum, MOST)
end

-- What a budget has left; what was taken; what was carried over; its newest window.
local function left(rule)
  local names = {'n', 's', int(rule[6])}
  for i = CARRIED + 1, #rule do names[#names + 1] = int(rule[i]) end
  local kept = call('HMGET', rule[2], unpack(names))
  local carried = 0
  if rule[9] > 0 then
    carried = rolled(rule, tonumber(kept[2]), {unpack(kept, 4)})
  end
  local low = math.fmod(carried, BASE)
  local rest = minus(rule[3] + (carried - low) / BASE, rule[4] + low, split(kept[3]))
  return rest, kept[3], carried, tonumber(kept[1])
end

local function add(rule, money)
  call('HINCRBY', rule[2], int(rule[6]), int(money))
end

-- A record: when and how much was taken, then the rules it was taken from, as the caller packed them.
-- `-` for the money: it is charged as it truly was already.
local function write(key, at, tokens, money, rules, ...)
  return call('SET', key, int(at) .. ' ' .. int(tokens) .. ' ' .. (money and int(money) or '-')
    .. '\n' .. rules, ...)
end

local function read(key)
  local record = call('GET', key)
  if not record or record == '' then return nil end
  local at, tokens, money, start = string.match(record, '^(%d+) (%d+) (%S+)\n()')
  return tonumber(at), tonumber(tokens), tonumber(money), sub(record, start)
end
