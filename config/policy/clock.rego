# Windows of time, by arithmetic on milliseconds: the gateway passes the time in, so a decision can be repeated.
#
#   {"days": ["monday"], "fromHour": 8, "toHour": 18.5, "utcOffsetMinutes": 60}
#
# From `fromHour` up to `toHour`, on days that begin there; 22 to 6 is the night after each of them. The offset is
# fixed: where clocks change twice a year, so must the data.
package sallyport.clock

day_ms := 86400000

hour_ms := 3600000

# 1 January 1970 was a Thursday.
weekdays := ["thursday", "friday", "saturday", "sunday", "monday", "tuesday", "wednesday"]

inside(window, now_ms) if {
	now := local(window, now_ms)
	window.fromHour <= window.toHour
	now.weekday in window.days
	now.ms >= window.fromHour * hour_ms
	now.ms < window.toHour * hour_ms
}

inside(window, now_ms) if {
	now := local(window, now_ms)
	window.fromHour > window.toHour
	now.weekday in window.days
	now.ms >= window.fromHour * hour_ms
}

inside(window, now_ms) if {
	now := local(window, now_ms)
	window.fromHour > window.toHour
	now.yesterday in window.days
	now.ms < window.toHour * hour_ms
}

local(window, now_ms) := {
	"weekday": weekdays[day % 7],
	"yesterday": weekdays[(day + 6) % 7],
	"ms": ms,
} if {
	local_ms := now_ms + (window.utcOffsetMinutes * 60000)
	ms := local_ms % day_ms
	day := (local_ms - ms) / day_ms
}
