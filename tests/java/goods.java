package market.goods;

class Good implements Comparable<Good>, Runnable {
    private long price; protected Good next;
    Good(long price) { this.price = price; }
    public int compareTo(Good other) { return Long.compare(price, other.price); }
    public void run() { if (next != null) next.run(); }
    static Good cheapest(Iterable<? extends Good> all) { Good best = null; for (Good g : all) best = best == null || g.compareTo(best) < 0 ? g : best; return best; }
}

class Fruit extends Good {
    Fruit() { super(3L); }
    @Override public void run() { super.run(); cheapest(java.util.List.of(this, new Good(1) { public void run() { Fruit.this.run(); } })).run(); }
}
