"""In operation: the loop that forecasts each new frame, unattended, and says when it is not good.

settings   the typed YAML of `framecast run`
checking   what can be known of them before the start
layout     where what lies in the output, and what is written there
sources    watching a folder, a pattern or a store by polling
memory     the newest frames, by their time on the clock
ledger     one declared outcome for each expected time
pace       what fits into the deadline
attempts   the plan that a process did not survive
issuing    one forecast: the ladder, the products, one folder in one step
scoring    yesterday's forecasts against the truth that came since
domain     the loop of one domain
processes  one process a domain, restarted with back-off
"""
