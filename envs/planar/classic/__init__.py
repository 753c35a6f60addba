"""The classic tasks on which Duan et al. (2016) compare policy search: cart-poles, a car in a valley, two pendulums."""
