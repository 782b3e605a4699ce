-- Takes up to ARGV[1] requests from the bucket KEYS[1], which holds ARGV[2] and gains one each ARGV[3]
-- microseconds. Returns how many were taken and, if none, after how many microseconds there is one.
-- The key holds the instant, in microseconds since 1970, from which the bucket is full again.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local wanted, depth, interval = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local known = tonumber(redis.call('GET', KEYS[1]) or 0)
-- A clock set back must not lock anybody out for longer than a bucket takes to fill.
local full_at = math.min(math.max(known, now), now + depth * interval)
local room = now + depth * interval - full_at
local taken = math.min(wanted, math.floor(room / interval))
if taken < 1 and known <= full_at then
  return {0, interval - room}
end
full_at = full_at + taken * interval
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
return {taken, taken < 1 and interval - room or 0}
