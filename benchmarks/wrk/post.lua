-- Sends the bodies of a file, a line each, in turn. Where a body says @COUNT@, every request has a number of its own.
-- Arguments: the file, and the first number. The figures are written to standard output as one line of JSON.
local requests, templates, turn, count = {}, nil, 0, 0

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
  turn = turn + 1
  if templates then
    count = count + 1
    return wrk.format(nil, nil, nil, (templates[turn % #templates + 1]:gsub("@COUNT@", string.format("%d", count))))
  end
  return requests[turn % #requests + 1]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "microseconds": %d, "bytes": %d, "failures": %d, "refusals": %d, "p50": %d, "p99": %d}\n',
    summary.requests, summary.duration, summary.bytes,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status,
    latency:percentile(50), latency:percentile(99)
  ))
end
