-- Puts hour marks that were read back from the archive before those that the fold wrote since. ARGV: rows, by
-- user (stream/hour_ends.py, MARKS_ROW); marks kept at most. `stream/marks.lua` comes first.
-- A meter that has no marks gets none: its newest heartbeat has to be written first.

local ROW, ROW_BYTES, LOWS_AT = '<I4BBI2I4I8', 220, 20
local rows, marks_max = ARGV[1], tonumber(ARGV[2])

-- Whether the meter's marks begin no earlier than the archive's last hour, as they do after a loss: then what
-- the archive tells of the hours up to their beginning is final, and their beginning itself is none.
local function begins_later(marks, first, last)
  return not marks.dropped and marks.first > first and marks.first >= last - 1
end

local function put_before(marks, first, last, older, lows)
  local count = math.min(marks.first, last) - first + 1
  local silent = string.rep(sub(lows, -4), marks.first - first + 1 - count)
  marks.lows = sub(lows, 1, 4 * count) .. silent .. sub(marks.lows, 5)
  marks.first, marks.dropped = first, older
  drop_old(marks, marks_max)
end

-- A silent hour tells nothing: what the archive carried over may be from before the meter was exchanged.
local function merge_hours(marks, first, last, heard, lows)
  local registers = { unpack_at('<' .. string.rep('I4', last - first + 1), lows) }
  for hour = last, first + 1, -1 do
    if floor(heard / 2 ^ (hour - first)) % 2 == 1 then
      local register = registers[hour - first + 1]
      merge_marks(marks, hour, register, hour == first + 1 and registers[1] or register, marks_max)
    end
  end
end

local user_before, key, packed, all

local function write_user()
  local merged = packed and packed_marks(all)
  if merged ~= packed then redis.call('HSET', key, 'h', merged) end
end

for row = 1, #rows, ROW_BYTES do
  local user, utility, older, count, first, heard = unpack_at(ROW, rows, row)
  if user ~= user_before then
    write_user()
    user_before, key = user, 'live:' .. string.format('%d', user)
    packed = redis.call('HGET', key, 'h') or nil
    all = packed and read_marks(packed)
  end
  local marks, last = all and all[utility], first + count - 1
  if marks and marks.first > 0 then
    local lows = sub(rows, row + LOWS_AT, row + LOWS_AT + 4 * count - 1)
    if begins_later(marks, first, last) then
      put_before(marks, first, last, older == 1, lows)
    else
      merge_hours(marks, first, last, heard, lows)
    end
  end
end
write_user()
