-- lease(keys = [lease, numbers], args = ["hold", "release" or "outgrow", our number or 0, milliseconds or a number])
-- lease: string, the number of who holds it, with an expiry; numbers: string, the last number that was given.
-- Returns our number while the lease is ours, else 0.
local holder = redis.call('GET', KEYS[1])
if ARGV[1] == 'release' then
  if holder == ARGV[2] then
    redis.call('DEL', KEYS[1])
  end
  return 0
end
if ARGV[1] == 'outgrow' then
  -- A number beyond all that we gave was met: what we remember of them was lost. Go on behind it, with a new lease.
  if holder == ARGV[2] then
    local last = tonumber(redis.call('GET', KEYS[2]) or '0')
    redis.call('SET', KEYS[2], math.max(last, tonumber(ARGV[3])))
    redis.call('DEL', KEYS[1])
  end
  return 0
end
if holder == ARGV[2] then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return tonumber(ARGV[2])
end
if holder then
  return 0
end
local number = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], number, 'PX', ARGV[3])
return number
