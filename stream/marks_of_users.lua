-- Returns the live state of some users as two strings of fixed layout, and how many hashes break the contract.
-- ARGV: the cursor; about how many users. Returns the next cursor; rows (stream/snapshot.py, ROW: the user id's
-- digits, the slots, the heads of the marks); the marks, u32 each, one user's after the other's; the count.
-- Shapes: infra/contracts/live_state.py.

local KEYS_LIKE = 'live:[1-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]'
local NOW_BYTES, HEAD_BYTES, HEADS_BYTES = 72, 5, 15
local sub, byte = string.sub, string.byte

local scanned = redis.call('SCAN', ARGV[1], 'MATCH', KEYS_LIKE, 'COUNT', ARGV[2])
local rows, lows, broken = {}, {}, 0
for _, key in ipairs(scanned[2]) do
  local fields = redis.call('HMGET', key, 'n', 'h')
  local now, packed = fields[1], fields[2]
  if now and packed and #now == NOW_BYTES and #packed >= HEADS_BYTES and #packed - HEADS_BYTES
    == 4 * (byte(packed, HEAD_BYTES) + byte(packed, 2 * HEAD_BYTES) + byte(packed, HEADS_BYTES)) then
    rows[#rows + 1] = sub(key, -8) .. now .. sub(packed, 1, HEADS_BYTES)
    lows[#lows + 1] = sub(packed, HEADS_BYTES + 1)
  else
    broken = broken + 1
  end
end
return { scanned[1], table.concat(rows), table.concat(lows), broken }
