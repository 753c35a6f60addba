"""Games on a plane: driver, sorter, dodger, survivor, navigation, catch; and, in a folder of their own, the classic tasks."""
