// What V8 interprets first, and compiles as it gets hot: calls, a map, objects, text.
function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
const map = new Map(), places = [];
let sum = 0;
for (let i = 0; i < 300000; i++) map.set("k" + i % 1000, i);
for (let i = 0; i < 300000; i++) places.push({ x: i, y: i * 2 });
for (const p of places) sum += p.x ^ p.y;
console.log(fib(30), map.size, sum, JSON.stringify(places.slice(0, 20000)).length);
