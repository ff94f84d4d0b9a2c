package org.bank;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/** What every account can do. */
interface Holder<T> {
    T owner();
    default String title() { return "of " + owner(); }
}

enum State { OPEN, CLOSED; boolean usable() { return this == OPEN; } }

record Entry(String text, long cents) { Entry { if (cents == 0) throw new IllegalArgumentException(text); } }

/** An account with its entries. */
public class Account implements Holder<String> {
    private final List<Entry> entries = new ArrayList<>();
    protected State state = State.OPEN;
    private final String name;

    public Account(String name) { this.name = name; }

    @Override public String owner() { return name; }

    /** Books an amount. */
    public long book(String text, long cents) throws Closed {
        if (!state.usable()) throw new Closed(name);
        entries.add(new Entry(text, cents));
        return balance();
    }

    public long book(long cents) throws Closed { return book("", cents); }

    public long balance() { return entries.stream().mapToLong(Entry::cents).sum(); }

    <R> List<R> each(Function<Entry, R> f) {
        var found = new ArrayList<R>();
        for (Entry e : entries) found.add(f.apply(e));
        return found;
    }

    static class Closed extends Exception { Closed(String name) { super(name); } }
}
