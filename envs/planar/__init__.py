"""Games on a plane: driver, sorter, dodger, survivor, navigation."""
