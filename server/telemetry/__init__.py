"""What the device did during a measurement: sensors, a recorder on a fixed beat, and the verdict on the measurement.

sensors.py      all sensors of this machine as one list of series
<family>.py     one family of sensors: finds its files once, then reads them often
recorder.py     samples on absolute deadlines, kept in memory and on disk
probe.py        a fixed piece of work, timed
validity.py     whether the numbers can be trusted
live.py         the newest sample for whoever looks
"""
