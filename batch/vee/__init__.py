"""Validation, estimation and editing of meters' days: whole columns of meters in numpy, no engine, no I/O.

`meter_days` what is known of each meter's day, hour by hour
`runs`       hours in a row: registers that stand still, silences, leaks
`levels`     follows each dial through its day; sets aside what cannot be
`astray`     what that walk keeps of registers that left their course
`bounds`     the continued register at each hour's bound, silences filled in
`reads`      what the utility read itself, against the meter
`history`    what a household's own past says of an hour
`shares`     parts of whole amounts that do not overflow
`edit`       all of these in their order: a meter's day in, its row and findings out
"""
