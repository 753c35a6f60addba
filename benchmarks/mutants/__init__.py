"""Would the tests notice? Small faults are put into the source one at a time: see `__main__`."""
