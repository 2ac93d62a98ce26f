-- For benchmarks.overload: posts PICTURE, and tells the answered (200) from the refused.
-- The moment of sending travels in X-Request-ID, which the server sends back: wrk itself does not say which
-- connection an answer came on, and its own latencies mix answers with refusals.
local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long sec; long nsec; } moment;
  int clock_gettime(int clock, moment *now);
]]
local moment = ffi.new("moment")

local function now_us()
  ffi.C.clock_gettime(1, moment)
  return tonumber(moment.sec) * 1000000 + math.floor(tonumber(moment.nsec) / 1000)
end

local thread_of_main
function setup(thread) thread_of_main = thread end

function init(_)
  local file = io.open(os.getenv("PICTURE"), "rb")
  local body = file:read("*a")
  file:close()
  local fields = { "POST " .. wrk.path .. " HTTP/1.1", "Host: " .. wrk.headers["Host"], "Content-Type: image/jpeg",
    "Content-Length: " .. #body }
  local token = os.getenv("TOKEN")
  if token ~= "" then fields[#fields + 1] = "Authorization: Bearer " .. token end
  head, tail = table.concat(fields, "\r\n") .. "\r\nX-Request-ID: ", "\r\n\r\n" .. body
  answered, refused, took = 0, 0, {}
  begun_us = now_us()
  counted_from_us = begun_us + tonumber(os.getenv("WARM_UP_S")) * 1000000
end

function request() return head .. string.format("%016d", now_us()) .. tail end

function response(status, headers, _)
  local arrived_us = now_us()
  if arrived_us < counted_from_us then return end
  last_us = arrived_us
  if status ~= 200 then
    refused = refused + 1
    return
  end
  answered = answered + 1
  local sent = headers["x-request-id"] or headers["X-Request-ID"]
  took[#took + 1] = (arrived_us - tonumber(sent)) / 1000
end

function done(summary, _, _)
  local took, errors = thread_of_main:get("took"), summary.errors
  local seconds = (thread_of_main:get("last_us") or 0) - thread_of_main:get("counted_from_us")
  table.sort(took)
  local function at(share) return #took > 0 and took[math.max(1, math.ceil(share * #took))] or 0 end
  io.write(string.format(
    '\nJSON {"answered": %d, "refused": %d, "broken": %d, "duration_s": %f, "p50_ms": %f, "p99_ms": %f}\n',
    thread_of_main:get("answered"), thread_of_main:get("refused"),
    errors.connect + errors.read + errors.write + errors.timeout, seconds / 1e6, at(0.5), at(0.99)))
end
