package sallyport.clock_test

import data.sallyport.clock
import data.sallyport_fixtures as fixtures

hour_ms := 3600000

# Tuesday, 25 November 2025, 00:00 UTC
tuesday_ms := fixtures.tuesday_noon_ms - (12 * hour_ms)

office := fixtures.windows["office-hours"]

night := fixtures.windows.night

test_a_window_begins_and_ends_to_the_millisecond if {
	not clock.inside(office, (tuesday_ms + (7 * hour_ms)) - 1)
	clock.inside(office, tuesday_ms + (7 * hour_ms)) # 08:00 an hour east of Greenwich
	clock.inside(office, (tuesday_ms + (17.5 * hour_ms)) - 1)
	not clock.inside(office, tuesday_ms + (17.5 * hour_ms))
}

test_a_window_is_open_on_its_days_alone if {
	open := {day | some day in numbers.range(-7, 7); clock.inside(office, fixtures.tuesday_noon_ms + ((day * 24) * hour_ms))}
	open == {-7, 0, 7}
}

test_a_night_belongs_to_the_day_that_it_begins_on if {
	not clock.inside(night, tuesday_ms + (5 * hour_ms)) # the night after Monday
	not clock.inside(night, (tuesday_ms + (22 * hour_ms)) - 1)
	clock.inside(night, tuesday_ms + (22 * hour_ms))
	clock.inside(night, tuesday_ms + (24 * hour_ms))
	clock.inside(night, (tuesday_ms + (29.5 * hour_ms)) - 1)
	not clock.inside(night, tuesday_ms + (29.5 * hour_ms))
	not clock.inside(night, tuesday_ms + (46 * hour_ms)) # 22:00 on Wednesday
}

test_an_offset_moves_the_day if {
	monday_night := {"days": ["monday"], "fromHour": 20, "toHour": 24, "utcOffsetMinutes": -300}
	clock.inside(monday_night, tuesday_ms + (2 * hour_ms)) # 21:00 on Monday five hours west
}

test_every_weekday_is_known if {
	names := {clock.local(office, tuesday_ms + ((day * 24) * hour_ms)).weekday | some day in numbers.range(0, 6)}
	count(names) == 7
	clock.local(office, 0).weekday == "thursday"
}

test_a_window_that_lacks_something_is_never_open if {
	every key in object.keys(office) {
		not clock.inside(object.remove(office, [key]), fixtures.tuesday_noon_ms)
	}
}
