-- Writes the records of many users behind the fence. ARGV: records, epoch, marks kept at most.
-- Shapes: stream/fold.py (RECORD) and infra/contracts/live_state.py. Returns how many were newer.
-- Running it twice with the same records changes nothing the second time.

local RECORD, RECORD_BYTES = '<I4BxxxxxxxI4i8i8i8', 40
local SLOT, SLOT_BYTES, SLOTS = '<i8i8I4I4', 24, 3
local HOUR_MS, WRAP = 3600000, 4294967296
local FIELDS = { [0] = 'e', [1] = 'g', [2] = 'w' }

local records, epoch, marks_max = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local pack, unpack_at = struct.pack, struct.unpack

local function trim(marks)
  local surplus = (#marks / 4 - 1) - marks_max
  if surplus <= 0 then return marks end
  return pack('<I4', unpack_at('<I4', marks, 1) + surplus) .. string.sub(marks, 5 + 4 * surplus)
end

local function repeated(register, count)
  return string.rep(pack('<I4', register % WRAP), count)
end

-- Marks as of the end of each hour from `hour_from` up to, but not including, `hour_to`.
local function append_marks(marks, hour_from, hour_to, register)
  if hour_to - hour_from > marks_max then
    marks, hour_from = nil, hour_to - marks_max
  end
  return trim((marks or pack('<I4', hour_from)) .. repeated(register, hour_to - hour_from))
end

local function replace(marks, position, low)
  return string.sub(marks, 1, position - 1) .. pack('<I4', low) .. string.sub(marks, position + 4)
end

-- Whether register `low` is behind `other`, both known by their low 32 bits only.
local function behind(low, other)
  local distance = (other - low) % WRAP
  return distance > 0 and distance < WRAP / 2
end

-- A heartbeat from before the meter's first known hour moves its beginning back. Full marks have been
-- trimmed, so that their first is no beginning.
local function prepend_marks(marks, hour, register, first_register)
  local first_hour, count = unpack_at('<I4', marks, 1), #marks / 4 - 1
  if count == marks_max or first_hour - hour >= marks_max then return marks end
  return trim(pack('<I4', hour - 1) .. repeated(first_register, 1)
    .. repeated(register, first_hour - hour + 1) .. string.sub(marks, 9))
end

-- An old heartbeat raises the marks from its own hour on, as far as they do not count it yet, and lowers
-- the mark before the meter's first hour if it came before what was taken for the meter's first.
local function merge_old(marks, hour, register, first_register)
  local first_hour, count = unpack_at('<I4', marks, 1), #marks / 4 - 1
  if hour <= first_hour then return prepend_marks(marks, hour, register, first_register) end
  local low, first_low = register % WRAP, first_register % WRAP
  for index = hour - first_hour, count - 1 do
    local mark = unpack_at('<I4', marks, 5 + 4 * index)
    if not behind(mark, low) then break end
    marks = replace(marks, 5 + 4 * index, low)
  end
  if hour == first_hour + 1 and behind(first_low, unpack_at('<I4', marks, 5)) then
    marks = replace(marks, 5, first_low)
  end
  return marks
end

local newer_count, position, size = 0, 1, #records
while position <= size do
  local user = unpack_at('<I4', records, position)
  local key = 'live:' .. string.format('%d', user)
  local now = redis.call('HGET', key, 'n')
  local changes = {}
  if not now then
    now = string.rep('\0', SLOT_BYTES * SLOTS)
    changes = { 'r', (string.gsub(string.sub(records, position + 5, position + 10), '%z+$', '')) }
  end
  local old_now = now
  local marks_of = {}
  repeat
    local _, utility, rate, sent_at, register, first_register = unpack_at(RECORD, records, position)
    local slot = utility * SLOT_BYTES + 1
    local old_sent_at, old_register, _, old_epoch = unpack_at(SLOT, now, slot)
    local hour, old_hour = math.floor(sent_at / HOUR_MS), math.floor(old_sent_at / HOUR_MS)
    local field = FIELDS[utility]
    local newer = epoch > old_epoch or (epoch == old_epoch and
      (sent_at > old_sent_at or (sent_at == old_sent_at and register > old_register)))
    if old_sent_at == 0 or epoch > old_epoch then
      marks_of[field] = append_marks(nil, hour - 1, hour, first_register)
    elseif newer and hour > old_hour then
      local marks = marks_of[field] or redis.call('HGET', key, field)
      marks_of[field] = append_marks(marks, old_hour, hour, old_register)
    elseif not newer and epoch == old_epoch and sent_at < old_sent_at then
      local marks = marks_of[field] or redis.call('HGET', key, field)
      marks_of[field] = merge_old(marks, hour, register, first_register)
    end
    if newer then
      now = string.sub(now, 1, slot - 1) .. pack(SLOT, sent_at, register, rate, epoch)
        .. string.sub(now, slot + SLOT_BYTES)
      newer_count = newer_count + 1
    end
    position = position + RECORD_BYTES
  until position > size or unpack_at('<I4', records, position) ~= user
  if now ~= old_now then
    changes[#changes + 1] = 'n'
    changes[#changes + 1] = now
  end
  for field, marks in pairs(marks_of) do
    changes[#changes + 1] = field
    changes[#changes + 1] = marks
  end
  if #changes > 0 then redis.call('HSET', key, unpack(changes)) end
end
return newer_count
