-- append(keys = [facts, end], args = [count, lines, received at (ms)])
-- Appends one block of `count` facts to one partition of the log.
-- facts: stream, blocks under the id 0-<offset of the last fact>; end: string, that offset.
-- Returns the offset of the block's last fact.
local last = redis.call('INCRBY', KEYS[2], ARGV[1])
redis.call('XADD', KEYS[1], string.format('0-%.0f', last), 'count', ARGV[1], 'received_at', ARGV[3], 'facts', ARGV[2])
return last
