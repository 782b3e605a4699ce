-- Puts tokens, ARGV[3] and on, on the list KEYS[1] of those that were taken back. The list is a sorted set:
-- each has a score of its own, the instant in microseconds since 1970, that grows whatever the clock does.
-- ARGV[1] is for how many microseconds the list keeps one, ARGV[2] how many it keeps, the newest.
local time = redis.call('TIME')
local now, kept = tonumber(time[1]) * 1000000 + tonumber(time[2]), tonumber(ARGV[1])
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local score = math.max(now, newest[2] and tonumber(newest[2]) + 1 or 0)
for index = 3, #ARGV do
  redis.call('ZADD', KEYS[1], 'NX', string.format('%.0f', score), ARGV[index])
  score = score + 1
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - kept))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -(tonumber(ARGV[2]) + 1))
redis.call('PEXPIRE', KEYS[1], math.ceil(kept / 1000))
return 1
