"""One forecast per customer: whether they buy within the horizon, how often if they do, and how much each time.

For a customer and the horizon, ``p`` is the probability of at least one purchase day, ``m`` the mean number of purchase
days if there is one (at least 1), and ``a`` the mean spend per purchase day. Then

- churn probability = 1 - p,
- expected orders = p m,
- expected spend = p m a,
- spend if retained = m a, and revenue at stake = (1 - p) m a,

so that no two of them can contradict each other (a hurdle model: Mullahy, J. (1986), "Specification and Testing of Some
Modified Count Data Models", Journal of Econometrics 33(3), 341-365).

:mod:`.risk` gives p; :mod:`.value` gives m and a. Each of the two joins experts (:mod:`.experts`) on the scale on which
they add up. The experts' weights are standard ones, corrected a little by forecasts made again at earlier dates
(:mod:`.weights`). The share of all customers who buy is estimated separately (:mod:`.level`).
"""
