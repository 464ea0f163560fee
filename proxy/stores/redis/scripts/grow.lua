-- Hold more money, in the windows of the hold. Answers what was added.
-- KEYS[1]  the record of the grant
-- ARGV[1]  "up-to at": 0 for the server's clock

local most, now = string.match(ARGV[1], '^(%d+) (%d+)$')
local more = tonumber(most)
now = tonumber(now)
if now == 0 then now = server_time() end
local at, tokens, money, packed = read(KEYS[1])
if not money then return 0 end
local quota = cmsgpack.unpack(packed)
for i = 5, #quota do
  local rule = quota[i]
  if rule[1] == 4 and rule[5] then
    local rest = left(rule)
    if rule[9] > 0 and now >= rule[7] then rest = 0 end -- What was left went on to the next window.
    more = min(more, rest)
  end
end
if more <= 0 then return 0 end
for i = 5, #quota do
  if quota[i][1] == 4 then add(quota[i], more) end
end
write(KEYS[1], at, tokens, money + more, packed, 'KEEPTTL')
return more
