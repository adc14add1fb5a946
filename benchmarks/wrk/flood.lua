-- Sends one body over and over, on each connection so many milliseconds, on average, after the answer before.
-- Arguments: the file of the body, and the pause. The figures are written to standard output as one line of JSON.
function init(arguments)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = io.open(arguments[1]):read("*l")
  local pause = tonumber(arguments[2])
  if pause > 0 then
    function delay()
      return math.random(0, 2 * pause)
    end
  end
end

function done(summary)
  local errors = summary.errors
  io.write(string.format(
    '{"answers": %d, "microseconds": %d, "failures": %d, "refusals": %d}\n',
    summary.requests, summary.duration, errors.connect + errors.read + errors.write + errors.timeout, errors.status
  ))
end
