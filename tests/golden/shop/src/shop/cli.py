import sys
import shop
from shop import Article, Book, Till, opened as open_till

def main(argv=None):
    with open_till(argv or sys.argv[1]) as till:
        till.sell(Article('pen', 120)); till.sell(Book('ulysses', 900))
        print(till.total(), shop.best(till), getattr(till, 'unknown')())
