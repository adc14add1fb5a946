-- Sends one body repeatedly; each connection pauses, on average for a given time, after each response.
-- Arguments: the file of the body, and the pause in milliseconds. Writes the figures to stdout as one line of JSON.
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
    '{"responses": %d, "microseconds": %d, "failures": %d, "error_responses": %d}\n',
    summary.requests, summary.duration, errors.connect + errors.read + errors.write + errors.timeout, errors.status
  ))
end
