-- commit(keys = [position, generation, written key ...],
--        args = [expected position, next position, expected generation, then for each written key: command, n, n arguments])
-- Writes everything and moves the position, or nothing. '' stands for "no position yet".
-- position: string, an offset; generation: string; written keys: hashes, sorted sets, streams, or an expiry of one.
-- Returns 1 when committed, 0 when the stored position or generation is not the expected one.
local position = redis.call('GET', KEYS[1]) or ''
local generation = redis.call('GET', KEYS[2]) or ''
if position ~= ARGV[1] or generation ~= ARGV[3] then
  return 0
end
local at = 4
for i = 3, #KEYS do
  local command, n = ARGV[at], tonumber(ARGV[at + 1])
  redis.call(command, KEYS[i], unpack(ARGV, at + 2, at + 1 + n))
  at = at + 2 + n
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
