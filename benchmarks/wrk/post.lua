-- Sends the bodies of a file, one a line, in rotation. @COUNT@ in a body is replaced by the number of the request.
-- Arguments: the file, and the first number. Writes the figures to stdout as one line of JSON.
local requests, templates, sent, count = {}, nil, 0, 0

function init(arguments)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  count = tonumber(arguments[2])
  for body in io.lines(arguments[1]) do
    if body:find("@COUNT@", 1, true) then
      templates = templates or {}
      templates[#templates + 1] = body
    else
      requests[#requests + 1] = wrk.format(nil, nil, nil, body)
    end
  end
end

function request()
  sent = sent + 1
  if templates then
    count = count + 1
    return wrk.format(nil, nil, nil, (templates[sent % #templates + 1]:gsub("@COUNT@", string.format("%d", count))))
  end
  return requests[sent % #requests + 1]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "microseconds": %d, "bytes": %d, "failures": %d, "error_responses": %d, "p50": %d, "p99": %d}\n',
    summary.requests, summary.duration, summary.bytes,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status,
    latency:percentile(50), latency:percentile(99)
  ))
end
