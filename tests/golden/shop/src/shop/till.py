import functools, json, logging
import requests as web
from contextlib import contextmanager
from .goods import Good, Unpriced, cheapest, labels

log = logging.getLogger(__name__)
RATES = {'eu': 19, 'uk': 20}

def taxed(region):
    def wrap(function):
        @functools.wraps(function)
        def inner(*args, **kw): return function(*args, **kw)*(100+RATES[region])//100
        return inner
    return wrap

class Till:
    "Adds up."
    count = 0

    def __init__(self, goods=()):
        self.goods = [*goods]
        self.hooks = {'sold': self.note}

    def note(self, good): log.info('sold %s', good.label)

    @taxed('eu')
    def total(self):
        return sum(g.cost() for g in self.goods)

    def sell(self, good: Good):
        try: price = good.cost()
        except Unpriced as e:
            log.warning(str(e))
            return None
        self.goods.append(good)
        self.hooks['sold'](good)
        type(self).count += 1
        return price

    def __enter__(self): return self
    def __exit__(self, *problem): self.save()
    def save(self): return json.dumps([*labels(self.goods)])

@contextmanager
def opened(path):
    till = Till()
    try: yield till
    finally: web.post(path, data=till.save())

def best(till): return cheapest(till.goods).label
