"""A shop, small enough to read and odd enough to test with."""
from .goods import Book, Good as Article
from .till import *
