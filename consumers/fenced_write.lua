-- fenced_write(keys = [hash], args = [number of the writer's lease, then for each field: name, value])
-- Writes the fields, unless a writer with a higher number has written the hash. Returns 0 when written, else that number.
local number = tonumber(redis.call('HGET', KEYS[1], 'number') or '0')
if number > tonumber(ARGV[1]) then
  return number
end
redis.call('HSET', KEYS[1], 'number', ARGV[1], unpack(ARGV, 2))
return 0
