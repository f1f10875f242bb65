"""The grammar of the built-in voice-assistant requests: shares of traffic, carriers, slot values.

Notation, in carriers and rules alike:

- `{song}` a value of the rule `song`, tagged as slot `song`; `{date:weekday}` a value of the rule
  `weekday`, tagged as slot `date`;
- `<when>` an expansion of the rule `when`, which may hold slots of its own;
- a rule lists its values between commas, or one a line where there is no comma;
- `(a|b|)` one of the parts, possibly none, all equally likely; parts do not nest;
- a carrier that ends in `?` is a question, in `.` a statement, in `!` a command without a verb,
  else a command: each kind has its own frames, where `*` stands for the request.

Carriers of an intent and values of a rule are listed from frequent to rare. Some carriers occur in
two domains on purpose, as in real traffic, so no classifier is right on every request. Titles,
people, artists, teams and streets are invented.
"""

SHARES = {
    "music": {
        "play_song": 6.2,
        "play_genre": 3.7,
        "control_playback": 3.0,
        "change_volume": 2.8,
        "song_information": 1.9,
    },
    "smart_home": {
        "device_on": 4.4,
        "device_off": 3.9,
        "change_light": 2.5,
        "set_temperature": 2.0,
        "lock_door": 1.4,
    },
    "weather": {"forecast": 6.6, "rain_or_snow": 3.1, "outside_temperature": 2.1},
    "timers": {"start_timer": 5.7, "check_timer": 1.8, "cancel_timer": 1.3},
    "alarms": {"set_alarm": 4.8, "cancel_alarm": 1.5, "check_alarm": 1.3},
    "calendar": {"check_calendar": 2.7, "add_event": 2.4, "change_event": 1.5},
    "messaging": {"call": 2.7, "send_message": 2.1, "read_messages": 1.3},
    "reminders": {"set_reminder": 3.5, "check_reminders": 1.1, "cancel_reminder": 0.8},
    "shopping": {"add_item": 2.3, "read_list": 0.9, "order_item": 0.9, "remove_item": 0.6},
    "knowledge": {"fact": 1.7, "arithmetic": 1.0, "definition": 0.9, "translation": 0.8},
    "navigation": {"directions": 1.3, "traffic": 0.9, "public_transport": 0.8, "find_place": 0.6},
    "recipes": {"find_recipe": 1.3, "cooking_time": 0.8, "ingredients": 0.6},
    "news": {"headlines": 1.1, "news_topic": 1.0},
    "small_talk": {"joke": 0.75, "about_assistant": 0.65, "mood": 0.6},
    "books": {"play_book": 0.9, "book_information": 0.7},
    "sports": {"score": 0.8},
}

FRAMES = {
    "": """
        * please
        please *
        can you *
        could you *
        hey *
        can you please *
        okay *
        would you *
        um *
        could you please *
        i need you to *
        hey can you *
        i want you to *
        uh can you *
        go ahead and *
        would you please *
        okay so *
        hey um *
    """,
    "?": """
        hey *
        um *
        okay *
        * please
        so *
        and *
        uh *
        okay so *
        hey um *
        sorry *
        well *
        quick question *
    """,
    ".": """
        hey *
        okay *
        um *
        well *
        uh *
        yeah *
        okay um *
        hey um *
        so *
        okay so *
    """,
    "!": """
        * please
        hey *
        okay *
        um *
        please *
        uh *
        * thanks
        okay um *
        hey um *
    """,
}

FILLERS = "please, hey, um, okay, uh, so, well, just, now, alright"

CARRIERS = {
    # music
    "play_song": """
        play {song} by {artist}
        play {song}
        play (something|some music|a song|songs) by {artist}
        put on {song} by {artist}
        i (want|would like) to hear {song} by {artist}.
        play the song {song}
        start {song}
        play {artist}
        put {song} on
        play the (new|latest|first) (album|single|record) by {artist}
        i feel like listening to {artist}.
        find {song} by {artist} and play it
        play my favourite song by {artist}
        do you have {song} by {artist}?
        can i hear {song}?
        play the live version of {song}
        play that song {song} in the {room}
        let us listen to {song}.
        i am in the mood for {artist}.
    """,
    "play_genre": """
        play (some|) {genre} (music|)
        play {genre} in the {room}
        put on (some|) {genre}
        play my {playlist} playlist
        play (some|) {genre} from the {decade}
        start my {playlist} playlist
        shuffle my {playlist} (songs|playlist)
        i want to (hear|listen to) (some|) {genre} (music|).
        play (something|music) for {activity}
        find me some {genre} for {activity}
        put the {playlist} playlist on shuffle
        play the best {genre} of the {decade}
        i need some {genre} (right now|).
        do you have any {genre} (music|)?
        turn on some {genre} in the {room}
        play (something|anything) {mood}
        put on music that is {mood}
        play the radio
    """,
    "control_playback": """
        skip (this song|this track|the song|this one)
        play the next (song|track|one)
        next (song|track|one)!
        (pause|stop|resume) (the music|this song|the song|) in the {room}
        (pause|stop|resume) (the music|this song|the song|the album)
        play (that|this|it|the last song) (again|one more time)
        go back (to the last song|one song|to the start of the song|)
        skip this (song|one) i do not like it
        (repeat|replay|loop) this (song|track|album)
        skip to the {number:ordinal} (song|track)
        turn (on|off) (shuffle|repeat)
        skip ahead {duration:short_duration}
        go back {duration:short_duration}
        continue (playing|)
        (pause|stop|resume)
        (save|add) this song to my {playlist} playlist
        i (love|like|do not like|hate) this (song|one).
        stop playing {artist}
        play something else
        no more {genre} (today|)!
        keep playing
        turn it off
    """,
    "change_volume": """
        (set|turn|change) the volume to {level}
        turn (the music|the volume|the sound) (up|down) in the {room}
        turn (the music|the volume|the sound|it) (up|down) (a bit|a little|to {level}|by {level}|)
        volume {level}!
        volume (up|down) (by {level}|a bit|)!
        turn it (up|down)
        (raise|lower|increase|decrease|reduce) the volume (in the {room}|by {level}|to {level}|)
        (mute|unmute) (the music|the sound|the speaker|the {room} speaker)
        make (it|the music) (louder|quieter)
        it is too (loud|quiet) (in the {room}|in here|).
        (louder|quieter) (in the {room}|)!
        the music is (too|way too|a bit) (loud|quiet).
        i can not hear (the music|the song|it) in the {room}.
        put the {room} speaker at {level}
        max volume!
        is the {room} speaker muted?
    """,
    "song_information": """
        who (sings|wrote|recorded) {song}?
        what (song|track|album) is this?
        what is the name of this (song|band|singer|album)?
        who is (singing|playing) (this|right now|)?
        what album is {song} on?
        when did {song} (come out|first come out)?
        what is the latest (album|song|single) by {artist}?
        how many albums did {artist} make?
        tell me about {artist}
        who is {artist:singer}?
        what year is this song from?
        who wrote {title:shared_title}?
        how long is {song}?
        is this {song} or {song}?
        what are the words to {song}?
        name (some|all) songs by {artist}
        is {artist:singer} on tour (this year|{date:season}|)?
        what was playing (before|just now|before this)?
    """,
    # smart home
    "device_on": """
        turn on the {room} {device:light}
        turn on the {device:appliance}
        turn the {room} {device:light} on
        switch on the {device:appliance} in the {room}
        turn the {device:appliance} on
        (turn|switch) on (the {device:light}|all the {device:lights}) in the {room}
        start the {device:appliance}
        turn on the {device:appliance} at {time}
        {room} {device:light} on!
        it is (too|so) dark in the {room}.
        (turn|switch) on the {device:appliance} for {duration}
        start the {device:appliance} in {duration}
        can i have some light in the {room}?
        turn it on
        is the {device:appliance} (on|running)?
        light up the {room}
        run the {device:appliance} <plain_when> at {time}
        wake the {room} {device:light} up
    """,
    "device_off": """
        turn off the {room} {device:light}
        turn off the {device:appliance}
        turn the {room} {device:light} off
        (turn|switch) off (the {device:light}|all the {device:lights}) in the {room}
        turn everything off in the {room}
        turn the {device:appliance} off in {duration}
        (switch|shut) off the {device:appliance}
        stop the {device:appliance}
        {room} {device:light} off!
        turn off the {device:appliance} in the {room}
        turn it off
        kill the {device:light} in the {room}
        did i leave the {device:appliance} on?
        turn off every light (except|but not) the one in the {room}
        it is too bright in the {room}.
        i do not need the {device:appliance} any more.
        turn the {device:appliance} off at {time}
        (no more|no) light in the {room}!
        make sure the {device:appliance} is off
    """,
    "change_light": """
        dim the {room} {device:light} (a bit|a little|to {level}|)
        set the {room} {device:light} to {level}
        (make|turn) the {room} {device:light} {colour}
        change the {device:light} to {colour} in the {room}
        (brighten|dim) the {device:light} in the {room}
        make the {room} (brighter|darker)
        (turn|set) the {room} {device:light} to {colour}
        (lower|raise) the {room} {device:light} (by {level}|to {level}|)
        i want {colour} light in the {room}.
        (set|change) the brightness (to {level}|of the {room} to {level})
        make the {room} {device:light} (warmer|cooler|softer)
        turn (up|down) the {device:light} in the {room}
        turn it (up|down)
        can the {room} {device:light} be {colour}?
        the {device:lights} in the {room} are too (bright|dim).
        make it (brighter|darker) in (here|the {room})
        give me {colour} in the {room}
    """,
    "set_temperature": """
        set the (temperature|thermostat|heating) to {temperature}
        set the {room} to {temperature}
        turn (up|down) the heating (in the {room}|by {number:digit} degrees|)
        make it (warmer|cooler) in the {room}
        turn the (heating|thermostat) (up|down) to {temperature}
        it is too (cold|hot|warm) in (here|the {room}).
        what is the temperature in the {room}?
        change the temperature in the {room} to {temperature}
        (warm|heat) up the {room} (by {time}|before {time}|)
        cool (down|) the {room} (to {temperature}|)
        what is the thermostat set to?
        i am (cold|freezing|too warm|boiling).
        keep the {room} at {temperature} <until>
        lower the temperature (by {number:digit} degrees|at night|)
        turn it (up|down) (by {number:digit} degrees|to {temperature})
        what is the temperature?
        how (warm|cold) is it in (here|the {room})?
    """,
    "lock_door": """
        (lock|unlock) the {device:door}
        is the {device:door} (locked|closed|open)?
        (open|close|shut) the {device:cover} (in the {room}|)
        did i (lock|close) the {device:door}?
        (lock|unlock) the {device:door} at {time}
        (open|close) the {room} {device:cover}
        make sure the {device:door} is (locked|closed)
        (lock|close) (everything|all the doors) at {time}
        check the {device:door}
        who is at the {device:door}?
        (open|close) the {device:cover} (half way|to {level}|at {time})
        let {person} in
        lock up (the house|for the night|)
        is there (anyone|someone) at the {device:door}?
        show me the {device:door} camera
        i forgot to (lock|close) the {device:door}.
    """,
    # weather
    "forecast": """
        what is the weather (like|) in {city} <when>?
        what is the weather (like|) <when>?
        how is the weather in {city}?
        what is the forecast for {date:day} (in {city}|)?
        what is the weather (like|) in {city}?
        weather in {city} (<when>|)!
        tell me the weather (in|for) {city}
        give me the (weather|forecast) for {date:day}
        what will the weather be like in {city} <when>?
        (is it|will it be) {condition} in {city} (<when>|)?
        will it be {condition} <when>?
        (check|show me) the (weather|forecast) (for|in) {city}
        what about {city} <when>?
        what does {date:day} look like?
        weather (for|) {date:near_date}!
        how is it looking in {city} (<when>|)?
        what is it like outside?
        is {date:single_day} a good day for {activity:outdoor_activity}?
        do i need my {item:weather_item} <when>?
        when does the sun (set|rise) (in {city}|<when>)?
        is there a storm coming (to {city}|<when>|)?
        can i go {activity:outdoor_activity} in {city} <when>?
        what should i wear (in {city}|) <when>?
        how windy (is it|will it be) in {city} (<when>|)?
        how does {date:day} look?
    """,
    "rain_or_snow": """
        is it (going to|gonna) {condition:falling} in {city} <when>?
        will it {condition:falling} <when>?
        is it {condition:falling_now} in {city}?
        do i need (an umbrella|a raincoat|boots) <when>?
        will it {condition:falling} in {city} (<when>|)?
        when will it (stop|start) {condition:falling_now} (in {city}|)?
        is there any {condition:fallen} (in the forecast|expected|coming) <when>?
        how much {condition:fallen} (will we get|is coming|do they expect) <when>?
        what is the chance of {condition:fallen} (in {city}|) <when>?
        is it {condition:falling_now} (outside|right now|)?
        should i (take|bring) an umbrella (to {city}|) <when>?
        any {condition:fallen} (in {city}|) <when>?
        is it dry enough for {activity:outdoor_activity} <when>?
        has it {condition:fell} in {city} (today|this week|)?
        tell me if it will {condition:falling} <when>
    """,
    "outside_temperature": """
        how (hot|cold|warm) (is it|will it be) in {city} (<when>|)?
        what is the temperature in {city} (<when>|)?
        how (hot|cold|warm) (is it|will it get|will it be) <when>?
        what is the temperature (outside|right now|)?
        what is the (high|low) (for|) {date:near_date} (in {city}|)?
        will it (be|get) (above|below|over|under) {temperature} (in {city}|) <when>?
        how many degrees (is it|will it be) in {city} (<when>|)?
        will it (freeze|be freezing) <when>?
        is it (warmer|colder|hotter) in {city} (or|than) (in|) {city}?
        what are the temperatures in {city} <when>?
        temperature in {city} (<when>|)!
        tell me the temperature (outside|in {city}|in the garden)
        is it cold (outside|out there|)?
        how cold does it get in {city} in {date:month}?
        how (warm|cold) is it?
    """,
    # timers
    "start_timer": """
        set a timer for {duration}
        set a {duration:span} timer
        {duration} timer!
        set a {name:timer_name} timer for {duration}
        start a {duration:span} timer
        timer for {duration}!
        start a timer for {duration}
        set a timer for {duration} for the {name:timer_name}
        i need a {duration:span} timer.
        set (another|a second|a new) timer for {duration}
        give me a {duration:span} countdown
        count down (from|) {duration}
        set one for {duration}
        let me know when {duration} is up
        can i (get|have) a {duration:span} timer (for the {name:timer_name}|)?
        time {duration} for (the {name:timer_name}|me)
        let me know in {duration}
        add {duration} to (the|my) (timer|{name:timer_name} timer)
        make it {duration}
        set it for {duration}
        wake me in {duration}
        put {duration} on the clock
        set (one|something) for {time}
    """,
    "check_timer": """
        how (much|long) is left on (the|my) {name:timer_name} timer?
        how much time is left (on my timer|on the timer|)?
        how long (is|do i have) left (on the {name:timer_name} timer|)?
        how many minutes (are|do i have) left (on the {name:timer_name} timer|)?
        (what|which) timers (are|do i have) (running|set|on|)?
        check (the|my) {name:timer_name} timer
        is (the|my) {name:timer_name} timer (still running|done|finished)?
        when (does|will) the {name:timer_name} timer (end|go off|finish)?
        how long (until|before) the {name:timer_name} timer (ends|goes off|is done)?
        timer status!
        what is left on the {duration:span} timer?
        how many timers (do i have|are running)?
        is the {duration:span} timer still going?
        how long (until|till) the {name:timer_food} is (ready|done)?
        how much longer?
        did i start a timer (for the {name:timer_name}|)?
        show (me|) (my|all|all my) timers
    """,
    "cancel_timer": """
        (cancel|stop|delete) (the|my) {name:timer_name} timer
        (cancel|stop|delete) the {duration:span} timer
        (cancel|stop|pause|end) (the|my) timer
        turn off the {name:timer_name} timer
        (cancel|stop|delete) (all|both|every one of) (my|the) timers
        pause the {name:timer_name} timer
        i do not need the {name:timer_name} timer any more.
        take {duration} off the {name:timer_name} timer
        (reset|restart|resume) the {name:timer_name} timer
        (cancel|delete) the one for {duration}
        get rid of the {duration:span} timer
        stop (the countdown|counting|beeping|the beeping)
        never mind the {name:timer_name} timer!
        (cancel|stop) (it|that|that one)
        the {name:timer_food} is done so stop the timer.
    """,
    # alarms
    "set_alarm": """
        set an alarm for {time}
        wake me (up|) at {time}
        set an alarm for {time} <plain_when>
        set (my|the) alarm for {time}
        alarm for {time}!
        wake me (up|) at {time} <plain_when>
        set an alarm for {time} every {date:repeat_day}
        set one for {time} (too|as well|)
        i need to (be|get) up at {time} (<plain_when>|).
        set (my|the|an) alarm (to|for) {time} (<plain_when>|)
        wake me (up|) in {duration}
        can you wake me at {time}?
        set (two alarms|alarms) for {time} and {time}
        set (one|something) for {time}
        change my alarm (from {time}|) to {time}
        move my {time:short_time} alarm to {time}
        set an alarm in {duration}
        make sure i am (up|awake) by {time}
        set a {name:alarm_name} alarm for {time}
        i have to get up (early|at {time}) so set an alarm.
        make it {time}
        get me up at {time}
    """,
    "cancel_alarm": """
        (cancel|delete|turn off) (my|the) {time:short_time} alarm
        (cancel|delete|turn off) (my|the) alarm (for|at) {time}
        turn off (my|the) alarm (for {date:near_date}|)
        (cancel|delete|remove) all (my|) alarms (for {date:near_date}|)
        (stop|cancel|delete) the {name:alarm_name} alarm
        snooze (the alarm|) (for {duration:short_duration}|)
        do not wake me (up|) (<when>|at {time})!
        (cancel|delete) the one (for|at) {time}
        stop (the alarm|ringing)
        no alarm <when>!
        skip my alarm <when>
        {duration:span} snooze!
        get rid of (my|the) {time:short_time} alarm
        i am (awake|up) (already|) so stop the alarm.
        let me sleep {duration} (longer|more)
        turn it off
    """,
    "check_alarm": """
        what time is my alarm (set for|) (<when>|)?
        (is|do i have) (my|an) alarm set for {time}?
        do i have an alarm (set|) (<when>|at {time}|for {time})?
        what alarms do i have (<when>|set|for {date:near_date})?
        when will my (next|first|{name:alarm_name}) alarm (go off|ring)?
        when is my (next|first) alarm (<when>|)?
        did i set (an|my) alarm for {time}?
        is my {name:alarm_name} alarm (on|set)?
        how many alarms (do i have|are set) (<when>|)?
        check (my|the) alarm (for {time}|for {date:near_date}|)
        (show|read|tell) me my alarms (for {date:near_date}|)
        what time are you waking me up (<when>|)?
        is there (one|anything) set for {time}?
        how long until my (alarm|{time:short_time} alarm|{name:alarm_name} alarm)?
    """,
    # calendar
    "check_calendar": """
        what is on my calendar (for|) {date:near_date}?
        what (do i have|am i doing) <when>?
        when is (my|the) {event}?
        what is on my (calendar|schedule) <when>?
        do i have (anything|any meetings|a {event}) <when>?
        am i free <plain_when> at {time:day_time}?
        what time is (my|the) {event} (<when>|)?
        what is my (next|first) (meeting|appointment|event) (<when>|)?
        am i (busy|free|doing anything) <when>?
        what is happening <when>?
        (read|show) me my (schedule|calendar|appointments) for {date:day}
        how does {date:day} look?
        where is (my|the) {event} (<when>|)?
        is there anything on {date:near_date}?
        what does {date:day} look like?
        how many (meetings|appointments) do i have <when>?
        what is on {date:near_date}?
        how long is (my|the) {event}?
        who is coming to (my|the) {event:gathering} (<when>|)?
        when am i (seeing|meeting) {person} (next|)?
    """,
    "add_event": """
        add a {event} <plain_when> at {time:day_time}
        add a {event} to my calendar (<plain_when>|for {date:single_day})
        put a {event} (on|in) my calendar for {date:single_day} at {time:day_time}
        schedule a {event} <plain_when> (at {time:day_time}|)
        create (an event|an entry) called {event} (<plain_when>|<plain_when> at {time:day_time})
        (make|book) an appointment with {person} <plain_when> at {time:day_time}
        i have a {event} <plain_when> at {time:day_time}.
        schedule a meeting with {person} (<plain_when>|) at {time:day_time}
        put my {event} in my calendar
        set up a {event} <plain_when> at {time:day_time}
        block {duration} <plain_when> for (my|the|a) {event}
        invite {person} to (my|the) {event:gathering} (<plain_when>|)
        save the date for the {event} <plain_when>
        remember the {event} <plain_when>
        mark {date:single_day} as (busy|a holiday|my day off)
        i am meeting {person} <plain_when> at {time:day_time}.
        set something up for {time:day_time} (<plain_when>|)
    """,
    "change_event": """
        (cancel|delete) (my|the) {event} (<plain_when>|)
        move (my|the) {event} to {time:day_time} (<plain_when>|)
        reschedule (my|the) {event} (to|for) {date:single_day}
        cancel (everything|all my meetings|all my appointments) <when>
        (push|move) (my|the) {event} (back|forward) (by|) {duration}
        take (my|the) {event} off (my|the) calendar
        change (my|the) {event} to {date:single_day} (at {time:day_time}|)
        clear my (calendar|schedule|day) (for|) {date:near_date}
        i can not make the {event} (<when>|) so (cancel|move) it.
        (cancel|delete) the one (for|at) {time:day_time} (<plain_when>|)
        move everything from {date:single_day} to {date:single_day}
        {person} can not come to (my|the) {event:gathering} (<when>|).
        make (my|the) {event} {duration} (longer|shorter)
        (delete|remove) {person} from (my|the) {event:gathering}
        change the place of the {event} to {place}
    """,
    # messaging
    "call": """
        call {person}
        call {person} on {device:phone}
        (phone|ring|dial) {person}
        call {person} (at work|back|at home|on speaker|again)
        make a (call|phone call|video call) to {person}
        i (need|want|would like) to (talk|speak) to {person}.
        get {person} on the phone
        video call {person} (on {device:phone}|)
        start a (call|video call) with {person} (and {person}|)
        can i (talk|speak) to {person}?
        (answer|reject|decline) (the call|it|the call from {person})
        (hang up|end the call|redial the last number)
        call the {place:business}
        what is the (phone number|number) (of|for) the {place:business}?
        did {person} (call|ring|phone) (<past>|)?
        who called (me|) (<past>|)?
        put {person} through
        reach {person} for me
        get me {person}
    """,
    "send_message": """
        (text|message) {person} {message}
        send a (message|text) to {person}
        tell {person} {message:clause}
        (text|message) {person} that {message:clause}
        send {person} a (text|message) (saying|that says) {message}
        let {person} know {message:clause}
        reply to {person} {message}
        send a message to {person} saying {message}
        ask {person} {message:asked}
        (write|send) an email to {person} (about {topic:email_topic}|)
        email {person} about {topic:email_topic}
        answer {person} with {message}
        write back {message}
        tell (everyone|the whole family|the kids) {message:clause}
        i have to text {person}.
        forward (this|that|it|the last message) to {person}
        send {person} my (location|address|number)
        let {person} know
    """,
    "read_messages": """
        read my (messages|texts|emails) (from {person}|)
        do i have any (messages|texts|emails|new messages) (from {person}|)?
        read (me|) the (last|latest|new) (message|text|email) (from {person}|)
        any (new|) (messages|emails|texts) (from {person}|<past>)?
        what did {person} (say|write|send me) (<past>|)?
        did {person} (text|message|email|write) me (back|) (<past>|)?
        (check|open) my (messages|inbox|email|voicemail)
        who (texted|emailed|messaged) me (<past>|)?
        what (does|did) the (last|latest) (message|email) (from {person}|) say?
        has {person} (replied|answered|written back) (yet|)?
        do i have any emails about {topic:email_topic}?
        play my (voicemail|voice messages|messages) (from {person}|)
        (read it|read that) (to me|again|out loud)
        how many (unread|new) (messages|emails) do i have?
        (delete|archive) the (message|email|voicemail) from {person}
        anything new?
    """,
    # reminders
    "set_reminder": """
        remind me to {task} <plain_when> (at {time}|)
        remind me to {task} at {time}
        remind me to {task}
        remind me to {task} <when>
        set a reminder to {task} (<when>|at {time})
        remind me in {duration} to {task}
        remind me about (my|the) {event} (<plain_when>|in {duration}|at {time})
        set a reminder for {time} (<plain_when>|to {task})
        do not let me forget to {task} (<when>|)!
        remind me every {date:repeat} to {task}
        i (need|have) to {task} <when>.
        (make|create|add) a reminder (for|about) (my|the) {event} (<plain_when>|)
        i have to remember to {task} (<when>|).
        remind me when i get (home|to work) to {task}
        remind {person} to {task} (<when>|)
        add {task} to my (list|to do list|tasks)
        let me know (at {time}|in {duration}) (that i have|) to {task}
        put {task} on my (to do list|list)
        set (one|something) for {time} (<plain_when>|)
        let me know in {duration}
        remember to {task}
    """,
    "check_reminders": """
        what (are my reminders|reminders do i have) (for|) {date:near_date}?
        do i have any reminders <when>?
        what (did i want|was i supposed|do i have|do i need) to do <when>?
        (read|show|tell) me my (reminders|to do list|tasks) (for {date:day}|)
        when (am i supposed|do i have) to {task}?
        what is on my (to do list|list) (for {date:day}|)?
        did i (set|make) a reminder to {task}?
        what do i have to (do|remember) <when>?
        any reminders (<when>|about my {event})?
        check my reminders (for {date:near_date}|)
        what is my next reminder (<when>|)?
        is there a reminder (for|about) (my|the) {event}?
        what is still open on my (list|to do list)?
        what is on my list?
        how many (reminders|tasks) (do i have|are left) (<when>|)?
    """,
    "cancel_reminder": """
        (cancel|delete|remove) the reminder to {task}
        (cancel|delete|clear) all (my|) reminders (for {date:near_date}|)
        (cancel|delete) my {time:short_time} reminder
        (cancel|delete) (the|my) reminder (for|about) (my|the) {event}
        i already did {task:task_noun} so delete the reminder.
        cross {task} off my (list|to do list)
        mark {task} as (done|finished|complete)
        (stop|quit) reminding me to {task}
        (cancel|delete) the one (for|at) {time}
        no need to remind me (to {task}|about my {event}).
        (move|change|push) the reminder (for|about) (my|the) {event} to {time}
        snooze (the|that|my) reminder (for {duration}|until {time}|)
        forget about (the|my) {event}
        (cancel|delete) (it|that|that one)
    """,
    # shopping
    "add_item": """
        add {item} to my shopping list
        add {item} and {item} to (my|the) (shopping|grocery) list
        put {item} on (my|the) shopping list
        add {item} to (my|the) (list|cart|basket)
        put {item} on the list
        we (need|are out of|are running low on|ran out of) {item}.
        i need (to buy|) {item} (and {item}|).
        add {item} {item} and {item} to my shopping list
        add <some_of> to (my|the) (shopping list|list|cart)
        shopping list add {item}!
        get <some_of>
        do not let me forget the {item}!
        can you put {item} and {item} on the shopping list?
        (also|and) {item}!
        we are out of {item} again so put it on the list.
        there is no {item:mass_item} left.
        make that <some_of>
    """,
    "read_list": """
        what is on my (shopping|grocery) list?
        (read|show|tell) me (my|the) (shopping|grocery) list
        is {item:mass_item} on (my|the) (shopping|) list?
        do i (have|need) {item} on my (shopping|grocery) list?
        did i (add {item} to|put {item} on) (my|the) list?
        what do (i|we) need (to buy|from the {place:shop}|) (<when>|)?
        what is (in|left in) my (cart|basket)?
        read (back|) (my|the) list (for the {place:shop}|)
        how many things are on (my|the) (shopping|grocery) list?
        have we got {item}?
        what else (do we need|is on the list) (from the {place:shop}|)?
        what is on my list?
        send (my|the) shopping list to {person}
        do we (still|) have {item}?
        start a (new|) shopping list for {date:day}
    """,
    "order_item": """
        order {item}
        order (some|more) {item} (for me|)
        (buy|reorder|order) <some_of>
        order (me|us|) {dish}
        where is my (order|package|parcel|delivery)?
        when will my {item:gadget} (arrive|get here|come|be here)?
        how much is a {item:gadget}?
        order {item:mass_item} and have it here (by|on) {date:weekday}
        has my (order|parcel|{item:gadget}) (shipped|arrived|been sent) (yet|)?
        buy (me|us|) (some|) {item}
        find me a (good|cheap|better) {item:gadget} (under {price}|)
        i want to (buy|order) a {item:gadget}.
        what is the cheapest {item:gadget} (you can find|)?
        cancel my order (for|of) {item}
        track my (package|parcel|order) (from {date:weekday}|)
        get {dish} delivered (by {time}|to {place})
        what is a good {item:gadget} (for|under) {price}?
    """,
    "remove_item": """
        (remove|delete) {item} from (my|the) (shopping|grocery|) list
        take {item} (and {item}|) off (my|the) (shopping|) list
        (clear|empty|delete) my (shopping list|cart|basket|grocery list)
        i (got|bought|have) (the|) {item} already.
        we do not need (any|) {item} (any more|).
        cross off {item}
        (cross|scratch) {item} off (my|the) list
        i do not want {item} any more.
        (check|tick) {item} off (my|the) (shopping|) list
        no {item} (this week|today)!
        swap {item} for {item} on (my|the) list
        remove the last (item|thing) (from my list|)
        (forget|never mind) the {item}
    """,
    # knowledge
    "fact": """
        how (tall|old|high|big) is {topic:landmark}?
        what is the capital of {country}?
        how many people live in {place:inhabited}?
        who invented {topic:invention}?
        how far is {city} from {city}?
        what time is it in {city}?
        where is {topic:landmark}?
        why {topic:curiosity}?
        tell me about {topic:subject}
        what language do they speak in {country}?
        when was {topic:building} built?
        how (long|fast|big|heavy) is a {topic:animal}?
        what do {topic:animals} eat?
        who is {person:public_person}?
        what year did {topic:past_event} (start|end|happen)?
        how far away is {topic:heavenly_body}?
        give me a fact about {topic:animals}
        how long do {topic:animals} live?
        who wrote {title:shared_title}?
        what is the (biggest|smallest|longest|oldest) (city|river|lake) in {country}?
        how far is {city}?
        who won the {topic:past_cup}?
    """,
    "arithmetic": """
        what is {number} (plus|minus|times) {number}?
        how many <units_in>?
        what is {number:tens} percent of {number:round_number}?
        convert <conversion>
        what is {number:round_number} divided by {number:digit}?
        how much is {number} (plus|minus|times) {number}?
        how do i convert <conversion>?
        what is the square root of {number}?
        how many {unit:kitchen_unit} (are in|in) a {unit:kitchen_volume}?
        how much is {number} {unit:currency} in {unit:currency}?
        (multiply|divide) {number:round_number} by {number:digit}
        add {number} and {number}
        how many (days|weeks) (are there|) until {date:holiday}?
        what is half of {number}?
        {number} times {number}!
        split {price} (between|by) {number:digit} people
    """,
    "definition": """
        what does {word} mean?
        what is the (meaning|definition) of {word}?
        define {word}
        how do you spell {word}?
        spell {word}
        what is another word for {word}?
        what is a synonym for {word}?
        what rhymes with {word}?
        how do you (say|pronounce) {word}?
        what is the opposite of {word}?
        use {word} in a sentence
        is {word} a (real|) word?
        where does the word {word} come from?
        look up {word} (in the dictionary|)
        how many letters are in {word}?
        explain (the word|) {word}
    """,
    "translation": """
        how do you say {phrase} in {language}?
        translate {phrase} (to|into) {language}
        what is {phrase} in {language}?
        how do i say {phrase} in {language}?
        what is the {language} word for {word:translated}?
        say {phrase} in {language}
        how would (you|i|someone) (say|write) {phrase} in {language}?
        what does (it|that) mean in {language}?
        (translate|put) {word:translated} (into|in) {language}
        {phrase} in {language}!
        what is {word:translated} in {language}?
        teach me how to say {phrase} in {language}
        do you (speak|understand|know) {language}?
    """,
    # navigation
    "directions": """
        how do i get to {place}?
        (give me|get) directions to {place}
        take me to {place}
        navigate to {place}
        how long (will|does) it take to (get|walk|drive|cycle) to {place}?
        how far is {place} (from here|from {place:inhabited}|)?
        what is the (fastest|best|quickest|shortest) way to {place}?
        show me the way (to|from here to) {place}
        directions (to|from here to) {place}!
        how far is {city}?
        find a route to {place} (without tolls|without motorways|through {city})
        i need to (be at|get to) {place} by {time:day_time}.
        when (should i|do i have to|do i need to) leave (for|to get to) {place}?
        how long is the (drive|walk|ride) to {place}?
        where is {place}?
        avoid {place:street} on the way to {place}
        take me home
        i am lost how do i get to {place}?
    """,
    "traffic": """
        how is (the|) traffic (to|on the way to|around|near) {place}?
        what is the traffic like (in {city}|to {place}|<when>|on {place:street})?
        is there (a lot of|any|much|heavy) traffic (to|on the way to|near) {place}?
        are there any (accidents|delays|road works|jams) (on {place:street}|in {city}|near {place})?
        is {place:street} (closed|open|busy|blocked) (<when>|)?
        how bad is (it|the traffic) (on {place:street}|in {city}|) (right now|this morning|)?
        how is it looking in {city}?
        traffic (report|update|) (for|in) {city}!
        check (the|) traffic (to {place}|in {city}|)
        will there be traffic (on {place:street}|in {city}|to {place}) <when>?
        how is (the drive|the commute|my commute) (to {place}|looking|<when>)?
        why is (traffic|it) so slow on {place:street}?
        will i (be late|make it) to {place} (by {time:day_time}|)?
        is it (busy|quiet) on the way to {place}?
    """,
    "public_transport": """
        when is the (next|first|last) {vehicle} to {place:stop}?
        what time does the {vehicle} to {city} leave?
        book a (ticket|seat) (to|for a {vehicle} to) {city} (<plain_when>|)
        is the {time:short_time} {vehicle} (to {city}|) (on time|late|delayed)?
        which {vehicle} goes to {place:stop}?
        how much is a {vehicle} (ticket|) to {city}?
        get me a (taxi|cab|ride) (to {place:stop}|for {time:day_time})
        (find|show me|are there any) {vehicle:vehicles} (from {city} to {city}|to {city} <when>)
        where does the {vehicle} to {place:stop} (stop|leave from)?
        call me a (taxi|cab) (to {place:stop}|for {time:day_time}|)
        how long does the {vehicle} to {city} take?
        i need a ride to {place:stop} (at {time:day_time}|).
        what platform does the {time:short_time} {vehicle} leave from?
        do i have to change (trains|buses) to get to {place:stop}?
    """,
    "find_place": """
        find a {place:business} (near me|near {place}|in {city}|nearby)
        where is the (nearest|closest|next) {place:business}?
        is the {place:business} (still|) open (<when>|at {time:day_time}|)?
        what is a good {cuisine} restaurant (in {city}|near me|near {place})?
        what time does the {place:business} (close|open) (<when>|)?
        book a table for {number:digit} at {time:meal_time} (<plain_when>|)
        are there any {place:businesses} (in {city}|around here|on the way|near {place})?
        what is on in {city} <when>?
        find (me|us) something to do (in {city}|) <when>
        is there a {cuisine} (restaurant|place) (near {place}|around here)?
        what is happening in {city} <when>?
        show me {place:businesses} (that are open|) (near {place}|in {city})
        (recommend|suggest) a {place:business} (in {city}|near here)
        what is on {date:near_date}?
    """,
    # recipes
    "find_recipe": """
        (find|give|show) me a recipe for {dish}
        how do (i|you) make {dish}?
        how do (i|you) cook {dish}?
        what can i (make|cook) with {ingredient} and {ingredient}?
        recipe for {dish}!
        what (should|can) i (make|cook) for {meal} (<when>|)?
        i want to make {dish} (for {meal}|).
        find a (quick|simple|healthy|vegetarian|vegan|cheap) {dish} recipe
        do you (have|know) a (good|quick|vegan|) recipe for {dish}?
        (find|get) me something for {meal} (with {ingredient}|)
        what is the next step?
        i have {ingredient} and {ingredient} what can i make?
        give me (an idea|ideas|some ideas) for {meal}
        (read|tell me) the {number:ordinal} step of the {dish} recipe
        teach me how to make {dish}
        what goes (well|) with {dish}?
    """,
    "cooking_time": """
        how long do (i|you) <cook_something> (for|)?
        how long does {dish} take (to make|to cook|in the oven|)?
        how long should {dish} (cook|rest|be in the oven)?
        at what temperature do (i|you) bake {dish}?
        what temperature (for|should the oven be for) {dish}?
        how long does it take to <cook_something>?
        when is {dish} (done|ready|cooked)?
        how (hot|warm) does the oven need to be for {dish}?
        how many minutes (do i|to) <cook_something>?
        how (do|can) i tell (if|when) {dish} is done?
        how long do i leave {dish} in the oven?
        can i <cook_something> for {duration}?
        how long (until|till) the {dish} is (ready|done)?
        is {duration} (enough|too long) for {dish}?
        how long can i keep {dish} in the (fridge|freezer)?
    """,
    "ingredients": """
        what (do i need|ingredients do i need) (for|to make) {dish}?
        what can i use instead of {ingredient}?
        what is in {dish}?
        can i use {ingredient} instead of {ingredient}?
        can i put {ingredient} in {dish}?
        how much {ingredient} (do i need for|goes into|is in) {dish}?
        is there {ingredient} in {dish}?
        how many (cups|spoons|grams) of {ingredient} go (in|into) {dish}?
        what is a (good|) substitute for {ingredient}?
        how many calories are in {dish}?
        can i make {dish} without {ingredient}?
        read me the ingredients (for|of) {dish}
        how many {unit:kitchen_unit} (are in|in) a {unit:kitchen_volume}?
        how do i make {dish} for {number:digit} people?
        is {dish} (vegan|vegetarian|healthy|gluten free)?
        i am out of {ingredient}.
        what goes in first?
    """,
    # news
    "headlines": """
        what is (in|on) the news (<recent>|)?
        (read|give|tell) me the (news|headlines|latest news) (from {place:inhabited}|<recent>|)
        what are the (headlines|top stories|main stories) (<recent>|in {place:inhabited}|)?
        play the (news|morning news|evening news|{place:inhabited} news)
        what is (happening|going on) in {place:inhabited}?
        (what is|anything) new in {place:inhabited} (<recent>|)?
        give me (my|the) (daily|morning|evening|news) (briefing|update|summary)
        what happened (in {place:inhabited}|) (<recent>|)?
        (local|world|international) news (<recent>|)!
        catch me up on (the news|the day|{place:inhabited}|what i missed)
        what is happening <recent>?
        read the (next|first|last) (story|headline|article)
        what is going on (in the world|<recent>|)?
        next (story|one)!
        anything new?
        any (big|breaking|important) news (<recent>|)?
    """,
    "news_topic": """
        (what is|) the latest (news|) (on|about) {topic:news_topic}?
        (any|is there any) news (on|about) {topic:news_topic} (<recent>|)?
        (find|get|read|show) me (news|the news|articles|stories) (on|about) {topic:news_topic}
        tell me (more|the latest) (on|about) {topic:news_topic}
        what is (happening|going on) with {topic:news_topic} (<recent>|)?
        what (happened|is new) with {topic:news_topic} (<recent>|)?
        {topic:news_word} news!
        play (a|the) (podcast|report|story) (on|about) {topic:news_topic}
        tell me about {topic:news_topic}
        who won the {topic:election}?
        (update|brief) me on {topic:news_topic}
        notify me (about|when there is news on) {topic:news_topic}
        what are (people|the papers|they) saying about {topic:news_topic}?
        who won the {topic:past_cup}?
        how is {topic:market} doing (<recent>|)?
    """,
    # small talk: no slots
    "joke": """
        tell me (a|another|a good|a funny|a new|a short|a silly|one more) joke
        tell me (a joke|a riddle|something funny) about <joke_subject>
        do you know (a joke|any jokes|a good joke|another joke|any riddles) (about <joke_subject>|)?
        make me laugh
        say something (funny|silly|nice|clever|random)
        (tell|give) me a (riddle|tongue twister|fun fact|knock knock joke|pun)
        sing (me|us|) (a song|a silly song|a lullaby|something|happy birthday)
        i need a (laugh|good joke|joke).
        (roll a dice|flip a coin|toss a coin|pick a number|pick a card)
        what is your (best|favourite|funniest) joke (about <joke_subject>|)?
        that (was|is) (not|so|really|very) funny.
        tell (us|me|the kids) a (scary|bedtime|funny|short) story
        can you (rap|dance|whistle|bark like a dog|beatbox|sing)?
        got any (good|new|more) (jokes|puns|riddles) (about <joke_subject>|)?
        entertain (me|us)
    """,
    "about_assistant": """
        what is your (name|favourite <favourite>|age|job|secret)?
        what can you (do|help me with|tell me|do for me)?
        how old are you?
        where (are you from|do you live|were you born|are you|do you come from)?
        are you (a robot|human|a person|real|alive|smart|listening|there|married|a girl)?
        who (made|created|built|invented|are) you?
        what do you (like|think|look like|eat|dream about|do all day|know about me)?
        do you (like|love|hate) (me|<joke_subject>|music|your job|people|pizza)?
        do you (have|want) (a family|friends|children|feelings|a brother|a body|a pet)?
        can you (hear|understand|see|help|read) me?
        (speak|talk) (slower|louder|faster|quieter|a bit slower)
        (will|can) you (marry me|be my friend|keep a secret|do my homework|think)?
        do you (sleep|dream|get tired|get bored|ever sleep|record me)?
        what do you think (about|of) (me|life|love|<joke_subject>|robots)?
        change your (voice|name|accent)
    """,
    "mood": """
        (good|) (morning|night|evening|afternoon) (to you|my friend|everyone|).
        (hello|hi) (there|my friend|again|how are you|).
        how are you (doing|today|feeling|)?
        how (was|is) your (day|weekend|night) (so far|)?
        thank you (so much|very much|for your help|for that|).
        i am (so|really|a bit|very|) (bored|tired|sad|happy|lonely|hungry|stressed|excited).
        you are (so|really|very|) (funny|smart|great|helpful|annoying|sweet|clever|rude).
        (great|good|nice|awesome|excellent) (job|work|answer|one).
        i (love|like|miss|hate) you (so much|a lot|).
        what is up (with you|today|)?
        (goodbye|bye|see you|talk to you) (later|tomorrow|soon|).
        i had a (bad|good|long|terrible|great) (day|night|week).
        (that is|this is) (great|wrong|not what i asked|not helpful|what i wanted|perfect).
        (never mind|forget it|forget about it|it is nothing).
        i (can not|could not) (sleep|relax|stop crying|stop laughing).
        cheer me up
        wish me luck
        (okay|alright) (cool|great|thanks|got it).
    """,
    # books
    "play_book": """
        (read|play) {title} (by {author}|)
        (start|continue|resume|keep) reading {title}
        play the (audiobook|audio book|book) {title}
        play {title}
        read me {title}
        (resume|continue) (my audiobook|my book|the audiobook|reading) (in the {room}|)
        (go to|skip to|read|start at) chapter {number:chapter} (of {title}|)
        where did i stop (in {title}|reading)?
        play something by {author}
        i (want|would like) to (hear|listen to) {title} (by {author}|).
        (pause|stop|resume) (the audiobook|my book|reading|)
        read (the next chapter|the last page|chapter {number:chapter}) (again|)
        go back {duration:short_duration}
        stop reading in {duration}
        put on {title}
        read a bit (faster|slower)
        (read it|read that) (to me|again|out loud)
        how much is left?
    """,
    "book_information": """
        who (wrote|is the author of) {title}?
        what is {title} about?
        what (books|else) did {author} write?
        what (should|can) i read (next|after {title}|)?
        (find|recommend|suggest) a (good|new|short|) {genre:book_genre} (book|)
        how long is {title}?
        how many pages does {title} have?
        when was {title} (published|written)?
        is {title} (any good|worth reading|available|a series)?
        find (books|a book|something) by {author}
        tell me about {title}
        is there an audiobook of {title}?
        (buy|download|get me) {title}
        add {title} to my library
        what are the best {genre:book_genre} books (of the year|right now|)?
        who is {author}?
        how many chapters does {title} have?
        what (is|was) the (first|last|latest|next) book by {author}?
    """,
    # sports: one intent
    "score": """
        did {team} win (<past>|)?
        what (is|was) the score (of|in) the {team:club} (game|match)?
        who won the {team:club} game (<past>|)?
        when do {team} play (next|<when>|)?
        what is the score (of the {sport} game|of the {sport} match|)?
        who are {team} playing (<when>|)?
        how did {team} do (<past>|)?
        who is winning (the {team:club} game|the {sport} match|)?
        what time is the {sport} (game|match|final) (<when>|)?
        is there (any {sport}|a {sport} match|a {sport} game) <when>?
        who won the {sport} (<past>|final|game)?
        where are {team} in the (table|league)?
        {team} score!
        {sport} scores (from|for|) {date:past_date}!
        who won the {topic:past_cup}?
        who scored for {team} (<past>|)?
        how are {team} (doing|doing this season)?
        what channel is the {sport} on?
        what is on {date:near_date}?
    """,
}

RULES = {
    # expansions that hold slots
    "when": """
        {date:near_date}
        on {date:weekday}
        {date:part_of_day}
        {date:next_weekday}
        on {date:weekday_part}
        on {date:month_day}
    """,
    "plain_when": """
        {date:plain_day}
        on {date:weekday}
        {date:next_weekday}
        on {date:month_day}
    """,
    "past": "{date:past_date}, {date:past_date}, {date:past_date}, today",
    "recent": "{date:recent_date}",
    "until": "until {time}, all night, all day, until {date:weekday}",
    "some_of": """
        {quantity:bottles} of {item:bottled}
        {quantity:bags} of {item:bagged}
        {quantity:cans} of {item:canned}
    """,
    "cook_something": """
        boil {ingredient:boiled}
        roast {ingredient:roasted}
        fry {ingredient:fried}
        bake {ingredient:roasted}
        steam {ingredient:steamed}
        grill {ingredient:fried}
    """,
    "units_in": """
        {unit:small_length} are (in|there in) {number} {unit:large_length}
        {unit:small_weight} are (in|there in) {number} {unit:large_weight}
        {unit:small_time} are (in|there in) {number} {unit:large_time}
    """,
    "conversion": """
        {number} {unit:metric_length} to {unit:imperial_length}
        {number} {unit:metric_weight} to {unit:imperial_weight}
        {number} {unit:metric_volume} to {unit:imperial_volume}
        {number} degrees {unit:celsius} to {unit:fahrenheit}
    """,
    "joke_subject": """
        cats, dogs, robots, school, penguins, aliens, doctors, ducks, computers, elephants, ghosts,
        pirates, teachers, cheese, monkeys, bananas, snow, chickens, dinosaurs, fish, lawyers
    """,
    "favourite": "colour, food, film, animal, song, season, number, word, place, book, game, day",
    # dates and times
    "weekday": "monday, friday, saturday, sunday, wednesday, thursday, tuesday",
    "month": """
        january, february, march, april, may, june, july, august, september, october, november,
        december
    """,
    "day_number": """
        first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth, eleventh,
        twelfth, thirteenth, fourteenth, fifteenth, sixteenth, seventeenth, eighteenth, nineteenth,
        twentieth, twenty first, twenty second, twenty third, twenty fourth, twenty fifth,
        twenty sixth, twenty seventh, twenty eighth
    """,
    "month_day": "the <day_number> of <month>, <month> <day_number>, the <day_number>",
    "next_weekday": "next <weekday>, this <weekday>",
    "weekday_part": "<weekday> (morning|afternoon|evening|night)",
    "plain_day": "tomorrow, today, the day after tomorrow",
    "part_of_day": """
        tonight, tomorrow morning, this afternoon, this evening, tomorrow night, later today,
        tomorrow afternoon, tomorrow evening
    """,
    "near_date": """
        today, tomorrow, this weekend, tonight, tomorrow morning, this week, this afternoon,
        next week, tomorrow night, this evening, next weekend, tomorrow afternoon
    """,
    "single_day": "tomorrow, <weekday>, next <weekday>, the <day_number>, <month> <day_number>",
    "day": "<near_date>, <weekday>, next <weekday>, <weekday_part>, the <day_number> of <month>",
    "past_date": """
        yesterday, last night, last weekend, last <weekday>, last week, this morning, on <weekday>
    """,
    "recent_date": "today, this morning, this week, right now, tonight, this evening, this month",
    "repeat": """
        day, <weekday>, week, month, morning, evening, night, two weeks, <digit> hours, year,
        <weekday> (morning|evening)
    """,
    "repeat_day": "day, weekday, <weekday>, school day, work day",
    "season": "this summer, next spring, next winter, this autumn, next year, in <month>",
    "holiday": "christmas, my birthday, easter, new year, <month>, halloween, the first of <month>",
    "hour": "seven, six, eight, five, nine, ten, four, three, two, eleven, twelve, one",
    "minute": "thirty, fifteen, forty five, twenty, ten, fifty, forty, thirty five, twenty five",
    "time": """
        <hour> (am|pm)
        <hour> <minute>
        <hour>
        <hour> <minute> (am|pm)
        half past <hour>
        quarter (past|to) <hour>
        (five|six|seven|eight|nine|ten) in the morning
        (one|two|three|four|five) in the afternoon
        (six|seven|eight|nine) in the evening
        noon
        (five|ten|twenty) (past|to) <hour>
        midnight
    """,
    "day_time": """
        <hour>
        half past <hour>
        <hour> <minute>
        quarter (past|to) <hour>
        (nine|ten|eleven) (am|in the morning)
        (one|two|three|four|five) (pm|in the afternoon)
        noon
        (six|seven|eight) (pm|in the evening)
        (ten|eleven) <minute> am
        (one|two|three|four|five|six) <minute> pm
    """,
    "short_time": """
        <hour>, <hour> (am|pm), <hour> <minute>, noon, midnight, <hour> <minute> (am|pm)
    """,
    "meal_time": """
        seven, eight, half past seven, six thirty, noon, seven thirty, one, half past twelve, nine,
        quarter past eight, eight thirty, six in the evening, half past one, one in the afternoon
    """,
    "duration": """
        <some_number> minutes
        <tens> minutes
        <digit> hours
        an hour
        half an hour
        <tens> seconds
        one minute
        an hour and a half
        <digit> and a half (minutes|hours)
        <digit> hours and <minute> minutes
        an hour and <minute> minutes
        a quarter of an hour
        <digit> minutes and <minute> seconds
    """,
    "span": """
        <digit> minute, <tens> minute, <teen> minute, one minute, half hour, one hour,
        <tens> second, <digit> hour, <big_tens> <digit> minute, one and a half minute
    """,
    "short_duration": "<tens> seconds, <digit> minutes, a minute, one minute, <teen> seconds",
    # numbers and amounts
    "digit": "two, three, five, four, six, eight, seven, nine",
    "teen": "ten, fifteen, twelve, eighteen, eleven, fourteen, sixteen, thirteen, seventeen",
    "tens": "twenty, thirty, forty, fifty, twenty five, forty five, thirty five, sixty, ninety",
    "some_number": "<digit>, <teen>, <big_tens> <digit>",
    "big_tens": "twenty, thirty, forty, fifty, sixty, seventy, eighty, ninety",
    "number": """
        <digit>, <teen>, <big_tens> <digit>, <big_tens>, <round_number>, <digit> point <digit>
    """,
    "round_number": "one hundred, <digit> hundred, one thousand, <big_tens>, <digit> thousand",
    "ordinal": "second, third, last, first, fourth, fifth, sixth",
    "chapter": "<digit>, <teen>, one, twenty <digit>",
    "level": "<digit>, <big_tens> percent, ten percent, ten, <tens> percent, half",
    "temperature": """
        twenty degrees, eighteen degrees, twenty one, nineteen degrees, twenty two degrees,
        seventy degrees, sixty eight, seventeen degrees, twenty three, sixty five degrees,
        twenty four degrees, seventy two degrees, fifteen degrees, sixteen, nineteen,
        sixty seven degrees, twenty six, twenty five degrees
    """,
    "price": """
        <big_tens> (dollars|euros|pounds), (one|two|three|five) hundred (dollars|euros|pounds)
    """,
    "bottles": "a bottle, two bottles, three bottles, six bottles, a crate, another bottle",
    "bags": "a bag, two bags, a packet, three packets, another bag, a big bag",
    "cans": "two cans, a can, three cans, six cans, four tins, a tin",
    "small_length": "centimetres, inches, millimetres",
    "large_length": "metres, yards, kilometres, miles",
    "small_weight": "grams, ounces",
    "large_weight": "kilos, pounds, tons",
    "small_time": "seconds, minutes",
    "large_time": "hours, days, weeks, years",
    "metric_length": "kilometres, metres, centimetres",
    "imperial_length": "miles, feet, inches, yards",
    "metric_weight": "kilos, grams, tons",
    "imperial_weight": "pounds, ounces, stone",
    "metric_volume": "litres, millilitres",
    "imperial_volume": "pints, gallons, cups, fluid ounces",
    "celsius": "celsius",
    "fahrenheit": "fahrenheit",
    "currency": "dollars, euros, pounds, yen, francs, pesos, rupees, crowns, dinars, rand",
    "kitchen_unit": "tablespoons, grams, millilitres, teaspoons, ounces, spoons",
    "kitchen_volume": "cup, pint, litre, gallon, jug, glass, half cup",
    # people and places
    "first_name": """
        anna, ben, clara, david, elena, hugo, grace, farid, maya, jonas, kira, liam, ines, noah,
        rosa, samir, tessa, olga, pablo, victor, wendy, yara, amir, bella, carlos, diana, emil,
        fiona, george, hannah, ivan, julia, kenji, laura, martin, nadia, oscar, priya, quentin,
        ruth, stefan, tomas, uma, vera, walter, xenia, zane, leila, marcus, sophie
    """,
    "surname": """
        harlow, vane, okoro, lindqvist, marsh, delacroix, tanner, holloway, ferris, abara, novak,
        santoro, whitlock, bexley, mori, castell, ibarra, thorne, winslow, pell, osei, larkin,
        haddad, rowe, sorel, brandt, yoon, pereira, quint, ashdown, calloway, demir, eklund, fenn,
        galanis, hartwell, iversen, jansen, kowal, lorimer
    """,
    "person": """
        mum, <first_name>, dad, <first_name>, my (sister|brother|wife|husband|boss|neighbour),
        <first_name> <surname>, <first_name>, grandma, <first_name> from (work|school|the gym),
        my (aunt|uncle|cousin|landlord|mother in law|best friend|son|daughter), grandpa,
        (doctor|professor|coach) <surname>, aunt (clara|rosa|vera|ruth|olga),
        uncle (ben|hugo|george|oscar|walter)
    """,
    "public_person": """
        the prime minister of <country>, the mayor of <city>, <first_name> <surname>,
        the head of state of <country>, the richest person in <country>, the oldest person alive
    """,
    "phone": "speaker, the mobile, my work phone, the landline, the cell phone, my headset",
    "city": """
        london, paris, new york, berlin, chicago, madrid, rome, boston, tokyo, dublin, toronto,
        seattle, vienna, sydney, lisbon, denver, oslo, athens, austin, prague, miami, mumbai,
        edinburgh, helsinki, cairo, dallas, warsaw, nairobi, atlanta, brussels, vancouver, istanbul,
        portland, budapest, seoul, lima, phoenix, glasgow, munich, bogota, lagos, melbourne, zurich,
        tampa, bangkok, naples, santiago, krakow, houston, singapore, cork, montreal, bristol,
        delhi, valencia, nashville, marrakesh, reykjavik, porto, hanoi, leeds, salt lake city,
        cape town
    """,
    "country": """
        france, japan, canada, brazil, kenya, norway, mexico, italy, india, peru, egypt, poland,
        australia, vietnam, greece, morocco, iceland, chile, portugal, turkey, nigeria, finland,
        argentina, thailand, new zealand, south korea, ireland, cuba, switzerland, nepal
    """,
    "inhabited": "<city>, <country>",
    "street": """
        <house_street>, the ring road, the motorway, the highway, route <tens>, highway <digit>
    """,
    "place": """
        the airport, work, the train station, <city>, the city centre, <street>, the hospital,
        the office, the nearest (pharmacy|petrol station|supermarket|bank|park|hospital),
        the university, the (beach|museum|stadium|library|zoo|harbour|town hall|castle|market),
        <house_number> <house_street>, my (hotel|school|dentist|gym|car), the concert hall
    """,
    "stop": """
        the airport, the city centre, <city>, the university, the stadium, the beach, the hospital,
        the harbour, <house_street>, the main station, the zoo, the old town, the trade fair
    """,
    "house_number": "<digit>, <teen>, <big_tens> <digit>",
    "house_street": """
        (elm|mill|station|church|river|harbour|orchard|king|market|castle|north|garden) street,
        (oak|park|hill|lake|ocean|college|rose|union) avenue, (bridge|forest|old|valley|abbey) road
    """,
    "business": """
        pharmacy, supermarket, bakery, petrol station, coffee shop, bank, post office, hair salon,
        butcher, bookshop, gym, garage, hardware store, cinema, pizza place, dentist, florist,
        library, flower shop, car wash, vet, shoe shop, swimming pool, sandwich shop, ice cream shop
    """,
    "shop": "supermarket, bakery, pharmacy, butcher, market, hardware store, florist, pet shop",
    "businesses": """
        coffee shops, restaurants, parks, museums, cheap hotels, playgrounds, bars, charging points,
        bike shops, bakeries, vegan restaurants, swimming pools, cinemas, antique shops, theatres
    """,
    "cuisine": """
        italian, thai, chinese, indian, mexican, greek, japanese, turkish, vegan, spanish, korean,
        vietnamese, lebanese, ethiopian, french, moroccan, seafood, vegetarian, peruvian, polish
    """,
    "vehicle": "train, bus, tram, ferry, night train, coach, express, airport bus",
    "vehicles": "trains, buses, ferries, night trains, cheap tickets, coaches, seats",
    # music and books
    "adjective": """
        silver, midnight, broken, golden, paper, winter, hollow, scarlet, distant, gentle, electric,
        crooked, velvet, lonely, burning, hidden, wild, quiet, faded, marble, northern, restless,
        frozen, crystal, wandering, secret, copper, amber, forgotten, endless, painted, borrowed
    """,
    "noun": """
        river, morning, garden, summer, lantern, harbour, sky, mirror, train, window, road, shadow,
        letter, orchard, ocean, mountain, feather, bridge, island, carnival, moon, tide, fire,
        clock, kingdom, stranger, melody, forest, lighthouse, parade, storm, promise, highway, bird,
        compass, meadow, valley, balcony, thunder, sparrow
    """,
    "shared_title": "<adjective> <noun>",
    "song": """
        <adjective> <noun>, dancing (in|by|under) the <noun>, back to the <noun>,
        (run away|come back|stay here|slow down|sail on) with me, <noun> (song|blues|lullaby),
        (one more|another) <noun>, (never|always|still) (leaving|dreaming|waiting|falling),
        <noun> and <noun>, tell me (tomorrow|slowly|twice|something true), my <adjective> <noun>,
        <first_name> (come home|do not cry|in the rain), no more <noun>, meet me at the <noun>
    """,
    "band": """
        foxes, lanterns, pilots, sparrows, strangers, tides, engines, dancers, wolves, satellites,
        gardeners, sailors, orchids, tailors, comets, postmen, magpies, clocks
    """,
    "singer": "<first_name> <surname>",
    "author": "<first_name> <surname>",
    "artist": "<first_name> <surname>, the <adjective> <band>, <first_name> and the <band>",
    "genre": """
        jazz, rock, classical, country, hip hop, blues, folk, techno, soul, reggae, funk, disco,
        ambient, punk, heavy metal, opera, salsa, swing, gospel, indie, trance, bluegrass,
        synth pop, piano, drum and bass, acoustic, flamenco, choir, bossa nova, lounge
    """,
    "decade": "eighties, nineties, seventies, sixties, fifties, two thousands, twenties, forties",
    "playlist": """
        workout, dinner, party, study, sleep, road trip, summer, morning, running, cooking, focus,
        kids, rainy day, holiday, gardening, yoga, wedding, travel, cleaning, sunday, car, winter
    """,
    "activity": """
        studying, dinner, dancing, cooking, a party, working out, reading, the kids, sleeping,
        a road trip, cleaning, painting, a rainy day, meditation, a date night, breakfast
    """,
    "mood": """
        relaxing, upbeat, cheerful, calm, sad, loud, slow, romantic, quiet, happy, energetic,
        dreamy, festive, mellow, dramatic
    """,
    "occupation": """
        clockmaker, gardener, painter, widow, detective, sailor, baker, librarian, soldier, thief,
        queen, beekeeper, doctor, cartographer, magician, orphan, shepherd, violinist
    """,
    "title": """
        the <adjective> <noun>, <adjective> <noun>, the <occupation> and the <noun>,
        the last <occupation>, the <occupation> of <city>, a <noun> in (winter|spring|summer),
        the secret of the <adjective> <noun>, the <occupation> who (lied|waited|vanished|came back),
        letters to the <occupation>, <noun> of <noun> and <noun>
    """,
    "book_genre": """
        mystery, fantasy, crime, history, romance, science fiction, horror, travel, children,
        adventure, cookery, biography, thriller, poetry
    """,
    # the home
    "room": """
        kitchen, bedroom, living room, bathroom, hallway, office, garage, dining room, nursery,
        attic, basement, guest room, study, garden, laundry room, playroom, conservatory, cellar,
        studio, shed, library, kids room, upstairs bathroom, entrance hall
    """,
    "light": "lights, light, lamp, ceiling light, lamps, spotlights, reading light, floor lamp",
    "lights": "lights, lamps, spotlights, ceiling lights, fairy lights",
    "appliance": """
        fan, television, heater, coffee machine, kettle, heating, radio, air conditioning, oven,
        dishwasher, washing machine, vacuum cleaner, humidifier, air purifier, sprinkler, projector,
        electric blanket, towel rail, dryer, ceiling fan, garden fountain, games console,
        robot mower, slow cooker, toaster, christmas tree, speaker, jacuzzi, lawn sprinkler
    """,
    "colour": """
        blue, red, green, warm white, purple, yellow, pink, orange, white, turquoise, violet,
        soft yellow, dark red, sky blue, lavender, gold
    """,
    "door": """
        front door, back door, garage door, side door, garden gate, patio door, cellar door, gate,
        main entrance, porch door
    """,
    "cover": "blinds, curtains, shutters, windows, window, blind",
    # weather
    "condition": """
        sunny, windy, cold, cloudy, hot, warm, foggy, stormy, icy, humid, clear, misty, dry, chilly,
        nice, freezing, wet
    """,
    "falling": "rain, snow, hail, drizzle, pour, storm",
    "falling_now": "raining, snowing, hailing, drizzling, pouring, storming",
    "fallen": "rain, snow, hail, sleet, fog, thunder",
    "fell": "rained, snowed, hailed",
    "weather_item": "coat, jacket, sunglasses, gloves, scarf, boots, hat, raincoat, sandals",
    "outdoor_activity": """
        running, hiking, swimming, cycling, fishing, camping, sailing, a picnic, skiing, gardening,
        a barbecue, a walk, climbing, golf
    """,
    # timers, alarms, calendar, messages, reminders
    "timer_food": "pasta, pizza, rice, egg, chicken, cake, tea, bread, soup, roast, pie, potato",
    "timer_name": """
        pasta, egg, pizza, laundry, rice, tea, oven, workout, cake, nap, homework, chicken, break,
        study, bread, bath, soup, cookie, parking, plank, roast, reading, dishwasher, screen time
    """,
    "alarm_name": "morning, work, school, gym, early, weekend, nap, medicine, holiday, baby",
    "event": """
        dentist appointment, team meeting, doctors appointment, lunch with <person>, haircut,
        meeting with <person>, yoga class, dinner with <person>, job interview, birthday party,
        call with <person>, flight to <city>, piano lesson, parents evening, swimming lesson,
        visit from <person>, football practice, eye test, wedding, board game night, exam,
        budget review, train to <city>, book club, school play, car service, staff training,
        concert, physio session, housewarming, coffee with <first_name>, dance class, vet visit
    """,
    "gathering": """
        birthday party, team meeting, board game night, wedding, book club, school play, concert,
        housewarming, parents evening, budget review, picnic, barbecue, family reunion, dinner
    """,
    "clause": """
        i will be late, i am on my way, i am running <teen> minutes late, dinner is ready,
        i will be there at <day_time>, i can not make it <near_date>, i love them,
        i am at the <business>, i will call later, i got the tickets, the meeting is at <day_time>,
        the keys are at home, we are out of <grocery>, i left the office, i miss them,
        the train is late, i found the <gadget>, i will bring the <grocery>,
        the party starts at <day_time>, i need the <gadget> back, we landed safely,
        the <gadget> is broken, i have a <event>
    """,
    "message": """
        <clause>, see you <near_date>, happy birthday, <clause>, good luck, where are you, <clause>,
        call me back, thank you for dinner, see you at <day_time>, do not forget the <grocery>,
        are you home yet, congratulations, what do you want for dinner, good night, sounds good
    """,
    "asked": """
        to call me back, if they are home, what time the party starts, to buy <grocery>,
        if they want to come for dinner, where the keys are, to pick up the kids, how the exam went,
        what they want for lunch, to bring the <gadget>, when they will be home, to open the door
    """,
    "email_topic": """
        the meeting, the invoice, the holiday, the rent, the party, the contract, the school trip,
        the delivery, my application, the insurance, the budget, the car, the tickets, the project
    """,
    "task": """
        call <person>, take out the (bins|rubbish|recycling), buy <grocery>, pay the <bill>,
        water the (plants|flowers|garden), feed the (cat|dog|fish|rabbits),
        take my (pills|medicine), pick up (the kids|<first_name>|the parcel|the dry cleaning),
        book the (tickets|hotel|flight), walk the dog,
        do the (laundry|dishes|ironing|homework|shopping), send the <document>, charge the <gadget>,
        wish <person> a happy birthday, clean the <room>, renew my passport,
        return the library books, check the (oven|post|mail|tyres), defrost the <meat>, go to bed,
        change the (sheets|light bulb|filter), email <person>, pack for <city>, turn off the oven,
        sign the <document>, drink some water, stretch, lock the door, buy a present for <person>
    """,
    "task_noun": "the dishes, the laundry, the ironing, the shopping, the homework, the cleaning",
    "bill": "electricity bill, rent, phone bill, water bill, gas bill, credit card, parking fine",
    "document": "report, invoice, contract, letter, form, tax return, application, thank you card",
    "meat": "chicken, turkey, fish, lamb, mince",
    # shopping and cooking
    "grocery": """
        milk, bread, cheese, coffee, eggs, butter, apples, bananas, sugar, rice, toilet paper,
        tomatoes, onions, pasta, batteries, cat food, orange juice, olive oil, yoghurt, flour
    """,
    "item": "<mass_item>, <plural_item>",
    "mass_item": """
        milk, bread, cheese, coffee, butter, toilet paper, sugar, rice, pasta, orange juice,
        olive oil, flour, chicken, dog food, yoghurt, washing powder, toothpaste, salt, green tea,
        shampoo, honey, peanut butter, spinach, salad, ketchup, bacon, ice cream, cat food, garlic,
        oat milk, sparkling water, ham, soap, cream, broccoli, cereal, baby formula, salmon, beer,
        strawberry jam, parmesan, kitchen roll, red wine, aluminium foil, washing up liquid, tofu
    """,
    "plural_item": """
        eggs, bananas, apples, tomatoes, onions, batteries, potatoes, carrots, lemons, grapes,
        bin bags, nappies, mushrooms, light bulbs, strawberries, crisps, peppers, oranges, biscuits,
        avocados, walnuts, candles, lentils, olives, bagels, paper towels, frozen peas, dishcloths,
        razor blades, vitamins, coffee filters, sausages, birthday candles, tea bags
    """,
    "bottled": "milk, orange juice, red wine, olive oil, water, lemonade, beer, vinegar, shampoo",
    "bagged": "rice, flour, sugar, potatoes, crisps, coffee, apples, pasta, cat food, nuts, oats",
    "canned": "tomatoes, beans, tuna, chickpeas, lemonade, soup, sweetcorn, coconut milk, peaches",
    "gadget": """
        charger, headset, umbrella, suitcase, ladder, tent, phone case, lamp, keyboard, rain jacket,
        camera, yoga mat, water bottle, backpack, desk chair, blender, frying pan, drill, scooter,
        board game, baby monitor, bike helmet, printer, pair of gloves, sleeping bag
    """,
    "dish": """
        <savoury> (soup|curry|stew|salad|pie|risotto|casserole|pasta), banana bread, lasagne,
        apple pie, <savoury> (soup|curry|stew), chocolate cake, omelette, carrot cake, fried rice,
        <savoury> and <savoury> (pie|stew|bake), cheesecake, pizza dough, rice pudding, goulash,
        sourdough bread, shepherds pie, paella, guacamole, tomato sauce, potato salad, gazpacho
    """,
    "savoury": """
        chicken, lentil, mushroom, tomato, spinach, potato, pumpkin, chickpea, cauliflower, leek,
        lamb, beef, salmon, broccoli, prawn, aubergine, sweet potato, bean, courgette, tofu
    """,
    "ingredient": """
        butter, chicken, flour, cream, rice, spinach, garlic, sugar, cheese, milk, yoghurt, tofu,
        coconut milk, cabbage, honey, basil, vanilla, buttermilk, ginger, bacon, olive oil,
        cinnamon, ground beef, baking powder, lemon juice, soy sauce, corn starch, feta, pumpkin,
        salmon
    """,
    "boiled": "eggs, potatoes, an egg, pasta, rice, lentils, corn, brown rice, noodles, beetroot",
    "roasted": "a chicken, potatoes, vegetables, salmon, a turkey, chicken thighs, pumpkin, ham",
    "fried": "eggs, a steak, chicken breasts, tofu, mushrooms, bacon, prawns, onions, halloumi",
    "steamed": "broccoli, dumplings, fish, carrots, asparagus, spinach, green beans, cauliflower",
    "meal": "dinner, breakfast, lunch, dessert, brunch, a picnic, a party, supper, the kids",
    # knowledge and news
    "landmark": """
        mount everest, the eiffel tower, the statue of liberty, the great wall, mount kilimanjaro,
        the leaning tower of pisa, the colosseum, mont blanc, niagara falls, the amazon, mount fuji,
        the taj mahal, machu picchu, the grand canyon, the louvre, lake victoria, the matterhorn
    """,
    "building": """
        the eiffel tower, the great wall, the colosseum, the taj mahal, the louvre, stonehenge,
        the statue of liberty, the parthenon, the golden gate bridge, the suez canal, the alhambra
    """,
    "invention": """
        the telephone, the light bulb, the wheel, the steam engine, the piano, paper, penicillin,
        the bicycle, the zip, chess, the microscope, the camera, the compass, the umbrella, glue
    """,
    "curiosity": """
        is the sky blue, do cats purr, are flamingos pink, is the sea salty, do we dream,
        do leaves turn red, is the grass green, do onions make you cry, do we yawn, is ice slippery,
        do stars twinkle, do zebras have stripes, does it thunder, do birds fly south
    """,
    "subject": """
        the roman empire, black holes, volcanoes, photosynthesis, the moon landing, dinosaurs,
        the renaissance, the northern lights, gravity, the vikings, earthquakes, the silk road,
        ancient egypt, the human heart, coral reefs, the industrial revolution, the ice age
    """,
    "animal": """
        blue whale, cheetah, elephant, giraffe, octopus, penguin, polar bear, ostrich, hedgehog,
        great white shark, koala, camel, owl, crocodile, tortoise, hummingbird, wolf
    """,
    "animals": """
        pandas, penguins, owls, sharks, koalas, bees, hedgehogs, elephants, octopuses, wolves,
        squirrels, dolphins, bats, giraffes, parrots, otters, turtles, kangaroos
    """,
    "past_event": """
        the first world war, the french revolution, the second world war, the great fire of london,
        the cold war, the gold rush, the black death, the space race, the american civil war
    """,
    "heavenly_body": "the moon, mars, the sun, jupiter, saturn, venus, the nearest star, pluto",
    "past_cup": """
        world cup, cup final, marathon in <city>, grand prix, tennis open, cycling tour, boat race,
        last election, <city> marathon, chess championship, song contest, downhill race
    """,
    "word": """
        ubiquitous, serendipity, ephemeral, pragmatic, eloquent, nostalgia, resilient, meticulous,
        ambiguous, melancholy, candid, frugal, benevolent, obsolete, tenacious, whimsical,
        arbitrary, catharsis, diligent, empathy, futile, gregarious, hypothesis, inevitable,
        juxtaposition, lucid, mundane, nuance, oblivious, paradigm, quaint, redundant, sceptical,
        tedious, verbose, zealous, rhythm, necessary, conscience, bureaucracy, entrepreneur,
        mischievous
    """,
    "phrase": """
        good morning, thank you very much, where is the station, how much is this, i am hungry,
        good night, i love you, excuse me, where is the bathroom, happy birthday, see you tomorrow,
        i am lost, the bill please, my name is <first_name>, nice to meet you, i do not understand,
        two coffees please, can you help me, have a nice day, i would like <grocery>,
        i am from <city>, i need a doctor, how are you, a table for <digit>, merry christmas,
        what time is it
    """,
    "translated": """
        bread, water, friend, apple, house, butterfly, cheese, train, thank you, hello, sister,
        umbrella, spoon, window, strawberry, snow, library, goodbye, chicken, kitchen, cousin
    """,
    "language": """
        spanish, french, german, italian, japanese, portuguese, greek, polish, dutch, swedish,
        arabic, korean, turkish, chinese, russian, finnish, hindi, swahili, welsh, danish
    """,
    "news_topic": """
        the election, politics, the economy, the climate summit, the stock market, space travel,
        the strike in <city>, the fire in <city>, the elections in <country>, technology, football,
        the storm in <city>, the budget, house prices, the peace talks, artificial intelligence,
        the flood in <country>, the price of oil, the earthquake in <country>, public health,
        the protests in <city>, interest rates, the new vaccine, schools, electric cars, farming
    """,
    "news_word": """
        business, football, science, technology, politics, health, travel, film, election,
        education, climate, crime, weather, <city>, <country>, celebrity
    """,
    "election": """
        election, vote in <country>, election in <country>, debate, mayor race in <city>,
        referendum, local election
    """,
    "market": "the stock market, the economy, the housing market, the euro, the pound, oil, gold",
    # sports
    "town": """
        kingsmere, brackenford, eastvale, millhaven, northwick, ravenport, stonebridge, westmarsh,
        oakhurst, fairhollow, thornbury, silverlake
    """,
    "club": """
        <town> (rovers|united|city|wanderers), <town>, (falcons|comets|tigers|bears|sharks|herons)
    """,
    "team": """
        <town> (rovers|united|city|wanderers), the <town> (falcons|comets|tigers|bears|sharks),
        the (falcons|comets|tigers|bears|sharks|herons), <town>
    """,
    "sport": """
        football, basketball, tennis, hockey, baseball, rugby, cricket, volleyball, handball,
        water polo, badminton, netball, ice hockey, table tennis
    """,
}
