-- Loops that LuaJIT compiles as they run, tables, and strings by its interpreter.
local sum, counts, words = 0, {}, 0
for i = 1, 3e7 do sum = sum + math.sqrt(i) * (i % 7) end
for i = 1, 2e6 do counts[i % 1000 + 1] = (counts[i % 1000 + 1] or 0) + i end
for _ = 1, 20 do
    for word in (("abc def "):rep(4000)):gmatch("%a+") do words = words + #word end
end
print(("%.3f"):format(sum), counts[5], words)
