package org.bank;

import static java.lang.Math.max;

class Savings extends Account {
    private double rate;

    Savings(String name, double rate) { super(name); this.rate = rate; }

    @Override public long balance() { return max(0, super.balance()); }

    long interest() throws Closed {
        Runnable note = () -> System.out.println(title());
        note.run();
        return book("interest", (long) (balance() * rate));
    }

    static Account of(String name) {
        return new Savings(name, .02) { @Override public String owner() { return name.trim(); } };
    }
}
