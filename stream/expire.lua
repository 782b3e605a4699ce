-- Drops the hour marks of some users that batch has published. KEYS: their hashes. Returns how many changed.
-- Follows stream/marks.lua.

local changed_count = 0
for _, key in ipairs(KEYS) do
  local packed = redis.call('HGET', key, 'h')
  if packed then
    local all = read_marks(packed)
    for utility = 0, UTILITIES - 1 do drop_old(all[utility], math.huge) end
    local kept = packed_marks(all)
    if kept ~= packed then
      redis.call('HSET', key, 'h', kept)
      changed_count = changed_count + 1
    end
  end
end
return changed_count
