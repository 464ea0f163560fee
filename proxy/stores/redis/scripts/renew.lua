-- This grant lives: its slots stay taken for another lease.
-- KEYS[1]  the record of the grant

local at, tokens, money, packed = read(KEYS[1])
if not at then return 0 end
local now = server_time()
local quota = cmsgpack.unpack(packed)
local lease = quota[3]
for i = 5, #quota do
  local rule = quota[i]
  if rule[1] == 3 then
    -- A slot that lapsed may be somebody else's by now: it is not taken back.
    call('ZADD', rule[2], 'XX', int(now + lease), KEYS[1])
    call('PEXPIRE', rule[2], int(4 * lease))
  end
end
if call('PTTL', KEYS[1]) < 4 * lease then
  call('PEXPIRE', KEYS[1], int(4 * lease))
end
return 1
