-- Writes the use of many regions behind the fence, and their course over the day with it. ARGV: shares
-- (stream/fold.py, REGION_SHARE), epoch. Shapes: infra/contracts/live_state.py. Returns how many were newer.

local SHARE, SHARE_BYTES = '<i8i8i8i8', 32
local LOAD, LOAD_BYTES, LOAD_SLOTS, LOAD_SLOT_MS = '<I4I4i8', 16, 288, 300000
local FIELDS = { [0] = 'e', [1] = 'g', [2] = 'w' }
local shares, epoch = ARGV[1], tonumber(ARGV[2])

local newer_count = 0
for position = 1, #shares, SHARE_BYTES do
  local tag, window_end, rate, active_meters = struct.unpack(SHARE, shares, position)
  local code = string.gsub(struct.pack('>i8', math.floor(tag / 4) * 65536), '%z', '')
  local key, field = 'region:' .. code, FIELDS[tag % 4]
  local old = redis.call('HGET', key, field)
  local old_window_end, old_epoch = 0, 0
  if old then
    local _
    old_window_end, _, _, old_epoch = struct.unpack('<i8i8I4I4', old)
  else
    redis.call('SADD', 'regions', code)
  end
  if epoch > old_epoch or (epoch == old_epoch and window_end > old_window_end) then
    redis.call('HSET', key, field, struct.pack('<i8i8I4I4', window_end, rate, active_meters, epoch))
    local slot = math.floor(window_end / LOAD_SLOT_MS)
    local offset = (tag % 4 * LOAD_SLOTS + slot % LOAD_SLOTS) * LOAD_BYTES
    redis.call('SETRANGE', 'load:' .. code, offset, struct.pack(LOAD, slot, 0, rate))
    newer_count = newer_count + 1
  end
end
return newer_count
