-- Sends a fixed number of requests with one thread, and says so when the last one was sent.
-- wrk would then sleep for the rest of its duration: run.py interrupts it.
-- Arguments: how many, and "count" to count answers by status (slower: for warming up only).

local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init(arguments)
    limit = tonumber(arguments[1])
    sent = -1 -- wrk asks for one request beforehand, to look at it
    statuses = {}
    text = wrk.format()
    if arguments[2] == "count" then
        response = function(status)
            statuses[status] = (statuses[status] or 0) + 1
        end
    end
end

function request()
    sent = sent + 1
    if sent > limit then
        wrk.thread:stop()
    end
    if sent == limit + 1 then
        io.write("sent\n")
        io.flush()
    end
    return text
end

function done(summary, latency, requests)
    local errors = summary.errors
    local counted = {}
    for status, count in pairs(threads[1]:get("statuses")) do
        table.insert(counted, string.format('"%d":%d', status, count))
    end
    io.write(string.format(
        '{"answers":%d,"bytes":%d,"refusals":%d,"broken":%d,"p50_us":%d,"p99_us":%d,"statuses":{%s}}\n',
        summary.requests, summary.bytes, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(99), table.concat(counted, ",")))
end
