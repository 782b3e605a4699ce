-- The hour marks of a user's meters; `stream/redis_sink.py` puts these functions before the scripts that use them.
-- Shape: infra/contracts/live_state.py. Marks being worked on are a table: `first` hour, whether older ones
-- were `dropped`, and `lows`, the registers' low 32 bits packed. They end with the hour before the newest
-- heartbeat's, and begin as late as what is kept allows: so they are the same in whatever order heartbeats come.

local HOUR_MS, WRAP, DROPPED = 3600000, 4294967296, 2147483648
local UTILITIES, HEAD_BYTES, HEADS_BYTES = 3, 5, 15
local pack, unpack_at, sub, floor = struct.pack, struct.unpack, string.sub, math.floor
local published_hour = floor(tonumber(redis.call('GET', 'published_until') or '0') / HOUR_MS)

local function low(register)
  return pack('<I4', register % WRAP)
end

-- Returns the marks by utility; a utility never heard of has none and begins at hour 0.
local function read_marks(packed)
  local all, at = {}, HEADS_BYTES + 1
  for utility = 0, UTILITIES - 1 do
    local head, count = unpack_at('<I4B', packed, utility * HEAD_BYTES + 1)
    local dropped = head >= DROPPED
    local lows = sub(packed, at, at + 4 * count - 1)
    all[utility] = { first = dropped and head - DROPPED or head, dropped = dropped, lows = lows }
    at = at + 4 * count
  end
  return all
end

local function packed_marks(all)
  local heads, lows = '', ''
  for utility = 0, UTILITIES - 1 do
    local marks = all[utility]
    heads = heads .. pack('<I4B', marks.dropped and marks.first + DROPPED or marks.first, #marks.lows / 4)
    lows = lows .. marks.lows
  end
  return heads .. lows
end

-- Drops marks from before the last published hour, and beyond `marks_max`.
local function drop_old(marks, marks_max)
  local hour_next = marks.first + #marks.lows / 4
  local first = math.min(math.max(hour_next - marks_max, published_hour - 1), hour_next)
  if first > marks.first then
    marks.lows = sub(marks.lows, 1 + 4 * (first - marks.first))
    marks.first, marks.dropped = first, true
  end
end

-- Begins a meter: the mark of the hour before its first is the first register that it showed.
local function begin_marks(marks, hour, first_register, marks_max)
  marks.first, marks.dropped, marks.lows = hour - 1, false, low(first_register)
  drop_old(marks, marks_max)
end

-- Appends the register to each hour from the end of the marks up to, but not including, `hour`.
local function append_marks(marks, hour, register, marks_max)
  local hour_next = marks.first + #marks.lows / 4
  if hour - hour_next > marks_max then
    marks.first, marks.lows, marks.dropped = hour - marks_max, '', true
    hour_next = marks.first
  end
  marks.lows = marks.lows .. string.rep(low(register), hour - hour_next)
  drop_old(marks, marks_max)
end

-- Whether the packed register `one` is behind `other`, both known by their low 32 bits only.
local function behind(one, other)
  local distance = (unpack_at('<I4', other) - unpack_at('<I4', one)) % WRAP
  return distance > 0 and distance < WRAP / 2
end

-- A heartbeat from before the meter's first known hour moves its beginning back.
local function prepend_marks(marks, hour, register, first_register, marks_max)
  local count = marks.first - hour + 1
  if count <= marks_max then
    marks.lows = low(first_register) .. string.rep(low(register), count) .. sub(marks.lows, 5)
    marks.first = hour - 1
  else
    marks.lows = string.rep(low(register), marks_max) .. sub(marks.lows, 5)
    marks.first, marks.dropped = marks.first - marks_max + 1, true
  end
  drop_old(marks, marks_max)
end

-- An old heartbeat raises the marks from its own hour on, as far as they do not count it yet, and lowers
-- the mark before the meter's first hour if it came before what was taken for the meter's first.
local function merge_marks(marks, hour, register, first_register, marks_max)
  if hour <= marks.first and not marks.dropped then
    prepend_marks(marks, hour, register, first_register, marks_max)
    return
  end
  local mark, lows = low(register), marks.lows
  local from = 4 * math.max(hour - marks.first, 0)
  local to = from
  while to < #lows and behind(sub(lows, to + 1, to + 4), mark) do to = to + 4 end
  if to > from then lows = sub(lows, 1, from) .. string.rep(mark, (to - from) / 4) .. sub(lows, to + 1) end
  local begun = low(first_register)
  if hour == marks.first + 1 and not marks.dropped and behind(begun, sub(lows, 1, 4)) then
    lows = begun .. sub(lows, 5)
  end
  marks.lows = lows
end

-- Returns packed marks with the registers of the slots `now` appended to all utilities, nil where that would
-- not do: something is to be dropped, or a utility has none.
local function extended_marks(packed, now, marks_max)
  local first_e, count_e, first_g, count_g, first_w, count_w = unpack_at('<I4BI4BI4B', packed)
  if math.max(count_e, count_g, count_w) >= marks_max or math.min(count_e, count_g, count_w) == 0
    or math.min(first_e % DROPPED, first_g % DROPPED, first_w % DROPPED) < published_hour - 1 then
    return nil
  end
  local at_g = HEADS_BYTES + 1 + 4 * count_e
  local at_w = at_g + 4 * count_g
  return pack('<I4BI4BI4B', first_e, count_e + 1, first_g, count_g + 1, first_w, count_w + 1)
    .. sub(packed, HEADS_BYTES + 1, at_g - 1) .. sub(now, 9, 12)
    .. sub(packed, at_g, at_w - 1) .. sub(now, 33, 36)
    .. sub(packed, at_w) .. sub(now, 57, 60)
end

-- Returns packed marks of three utilities first heard in an hour, nil where that hour is published already.
local function first_marks(hour, first_e, first_g, first_w)
  if hour < published_hour then return nil end
  return pack('<I4BI4BI4BI4I4I4', hour - 1, 1, hour - 1, 1, hour - 1, 1, first_e % WRAP, first_g % WRAP, first_w % WRAP)
end
