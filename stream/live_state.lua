-- Writes the newest heartbeats of many users behind the fence. Running it again changes nothing.
-- ARGV: rows, one a user (stream/live_rows.py, ROW); their records (stream/fold.py, RECORD); epoch; marks kept
-- at most; the earliest `sent_at` of all records; the start of the hour of the latest.
-- Shapes: infra/contracts/live_state.py. Returns how many records were newer.

local ROW_BYTES, KEY_BYTES, FIRST_AT, NOW_AT = 112, 13, 16, 40
local RECORD, RECORD_BYTES = '<I4BxxxxxxxI4i8i8i8', 40
local SLOT, SLOT_BYTES = '<i8i8I4I4', 24
local FIELDS = { [0] = 'e', [1] = 'g', [2] = 'w' }

local rows, records, epoch, marks_max = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local earliest, hour_start = tonumber(ARGV[5]), tonumber(ARGV[6])
local call, byte = redis.call, string.byte
local known = {}

local function region_of(position)
  return (string.gsub(sub(records, position + 5, position + 10), '%z+$', ''))
end

-- A meter is counted as its slot is first written: once, because both happen in this script or neither.
local function count_known(region, field)
  known[region] = known[region] or {}
  known[region][field] = (known[region][field] or 0) + 1
end

-- Writes one user whatever its records are: several hours of a meter, old ones, a meter's first.
local function write_user(key, old, position, stop)
  local now, newer_count, all, old_marks = old or string.rep('\0', SLOT_BYTES * UTILITIES), 0, nil, nil

  local function marks(utility, old_hour)
    if not all then
      old_marks = old and call('HGET', key, 'h')
      all = read_marks(old_marks or string.rep('\0', HEADS_BYTES))
    end
    if all[utility].first == 0 then all[utility] = { first = old_hour, dropped = true, lows = '' } end
    return all[utility]
  end

  for at = position, stop, RECORD_BYTES do
    local _, utility, rate, sent_at, register, first_register = unpack_at(RECORD, records, at)
    local slot = utility * SLOT_BYTES + 1
    local old_sent_at, old_register, _, old_epoch = unpack_at(SLOT, now, slot)
    local hour, old_hour = floor(sent_at / HOUR_MS), floor(old_sent_at / HOUR_MS)
    local newer = epoch > old_epoch or (epoch == old_epoch and
      (sent_at > old_sent_at or (sent_at == old_sent_at and register > old_register)))
    if old_sent_at == 0 or epoch > old_epoch then
      if old_sent_at == 0 then count_known(region_of(at), FIELDS[utility]) end
      begin_marks(marks(utility, hour), hour, first_register, marks_max)
    elseif newer and hour > old_hour then
      append_marks(marks(utility, old_hour), hour, old_register, marks_max)
    elseif epoch == old_epoch and (sent_at < old_sent_at or first_register < old_register) then
      merge_marks(marks(utility, old_hour), hour, register, first_register, marks_max)
    end
    if newer then
      now = sub(now, 1, slot - 1) .. pack(SLOT, sent_at, register, rate, epoch) .. sub(now, slot + SLOT_BYTES)
      newer_count = newer_count + 1
    end
  end
  local new_marks = all and packed_marks(all)
  if not old then
    call('HSET', key, 'n', now, 'h', new_marks, 'r', region_of(position))
  elseif new_marks and new_marks ~= old_marks then
    call('HSET', key, 'n', now, 'h', new_marks)
  elseif now ~= old then
    call('HSET', key, 'n', now)
  end
  return newer_count
end

-- A user never heard of, whose meters have one record each, all of the hour that the call ends with.
local function write_first_user(key, row, position)
  local marks = earliest >= hour_start
    and first_marks(hour_start / HOUR_MS, unpack_at('<i8i8i8', rows, row + FIRST_AT))
  if not marks then return false end
  local region = region_of(position)
  for utility = 0, UTILITIES - 1 do count_known(region, FIELDS[utility]) end
  call('HSET', key, 'n', sub(rows, row + NOW_AT, row + ROW_BYTES - 1), 'h', marks, 'r', region)
  return true
end

-- The common cases, and all that is done in them: every meter of the user is known and has one record, of
-- which nothing is older than what is there, and which is of the same hour or, all three, of the next one.
local function write_known_user(key, old, row)
  local sent_e, register_e, _, epoch_e, sent_g, register_g, _, epoch_g, sent_w, register_w, _, epoch_w =
    unpack_at('<i8i8I4I4i8i8I4I4i8i8I4I4', old)
  if epoch_e ~= epoch or epoch_g ~= epoch or epoch_w ~= epoch
    or sent_e >= earliest or sent_g >= earliest or sent_w >= earliest then return false end
  if sent_e >= hour_start and sent_g >= hour_start and sent_w >= hour_start then
    local first_e, first_g, first_w = unpack_at('<i8i8i8', rows, row + FIRST_AT)
    if register_e > first_e or register_g > first_g or register_w > first_w then return false end
    call('HSET', key, 'n', sub(rows, row + NOW_AT, row + ROW_BYTES - 1))
    return true
  end
  local hour_before = hour_start - HOUR_MS
  if earliest < hour_start or sent_e >= hour_start or sent_g >= hour_start or sent_w >= hour_start
    or sent_e < hour_before or sent_g < hour_before or sent_w < hour_before then return false end
  local marks = call('HGET', key, 'h')
  local extended = marks and extended_marks(marks, old, marks_max)
  if not extended then return false end
  call('HSET', key, 'n', sub(rows, row + NOW_AT, row + ROW_BYTES - 1), 'h', extended)
  return true
end

local newer_count, position = 0, 1
for row = 1, #rows, ROW_BYTES do
  local key = sub(rows, row, row + KEY_BYTES - 1)
  local whole, count_low, count_high = byte(rows, row + KEY_BYTES, row + KEY_BYTES + 2)
  local next_position = position + (count_low + 256 * count_high) * RECORD_BYTES
  local old = call('HGET', key, 'n')
  if whole == 1 and (old and write_known_user(key, old, row)
    or not old and write_first_user(key, row, position)) then
    newer_count = newer_count + UTILITIES
  else
    newer_count = newer_count + write_user(key, old, position, next_position - 1)
  end
  position = next_position
end
for region, fields in pairs(known) do
  for field, count in pairs(fields) do
    call('HINCRBY', 'region:' .. region, 'k' .. field, count)
  end
end
return newer_count
