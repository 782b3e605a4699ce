-- Writes the records of many users behind the fence. ARGV: records, epoch, marks kept at most.
-- Shapes: stream/fold.py (RECORD) and infra/contracts/live_state.py. Returns how many were newer.
-- Running it twice with the same records changes nothing the second time.

local RECORD, RECORD_BYTES = '<I4BxxxxxxxI4i8i8i8', 40
local SLOT, SLOT_BYTES, SLOTS = '<i8i8I4I4', 24, 3
local HOUR_MS, WRAP = 3600000, 4294967296
local FIELDS = { [0] = 'e', [1] = 'g', [2] = 'w' }

local records, epoch, marks_max = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local pack, unpack_at = struct.pack, struct.unpack

-- Marks as of the end of each hour from `hour_from` up to, but not including, `hour_to`.
local function append_marks(marks, hour_from, hour_to, register)
  local added = hour_to - hour_from
  if added > marks_max then
    marks, hour_from, added = nil, hour_to - marks_max, marks_max
  end
  marks = (marks or pack('<I4', hour_from)) .. string.rep(pack('<I4', register % WRAP), added)
  local surplus = (#marks / 4 - 1) - marks_max
  if surplus > 0 then
    marks = pack('<I4', unpack_at('<I4', marks, 1) + surplus) .. string.sub(marks, 5 + 4 * surplus)
  end
  return marks
end

local function replace(marks, position, low)
  return string.sub(marks, 1, position - 1) .. pack('<I4', low) .. string.sub(marks, position + 4)
end

-- An old heartbeat raises the marks from its own hour on, as far as they do not count it yet, and lowers
-- the mark before the meter's first hour if it came before what was taken for the meter's first.
local function merge_old(marks, hour, register, first_register)
  local first_hour, last = unpack_at('<I4', marks, 1), #marks / 4 - 1
  local low = register % WRAP
  for index = math.max(hour - first_hour, 0), last - 1 do
    local mark = unpack_at('<I4', marks, 5 + 4 * index)
    if hour < first_hour or (low - mark) % WRAP == 0 or (low - mark) % WRAP >= WRAP / 2 then break end
    marks = replace(marks, 5 + 4 * index, low)
  end
  if hour == first_hour + 1 and last > 0 then
    local mark, first_low = unpack_at('<I4', marks, 5), first_register % WRAP
    local behind = (mark - first_low) % WRAP
    if behind > 0 and behind < WRAP / 2 then marks = replace(marks, 5, first_low) end
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
