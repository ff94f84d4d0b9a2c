package market;

import java.util.*;
import java.util.function.Function;
import java.util.stream.Collectors;
import static java.util.Objects.requireNonNull;
import market.goods.*;

/** Where things are sold. Source for tests that cut and splice: it holds what Java has. */
@SuppressWarnings({"unchecked", "rawtypes"})
public abstract class Market<T extends Comparable<? super T> & Runnable> implements Iterable<T>, AutoCloseable {
    private static final Map<String, List<? extends Number>> PRICES = new HashMap<>();
    protected final T[] stalls; int open = 0x1F, closed[] = {1, 2, 0b11};
    static { PRICES.put("apple", List.of(1, 2L, 3.0f)); }
    { open += PRICES.size(); }

    @SafeVarargs
    protected Market(T... stalls) throws IllegalStateException { this.stalls = requireNonNull(stalls); }

    public enum Weather implements Function<String, Integer> {
        SUN("bright") { @Override public Integer apply(String s) { return s.length(); } },
        RAIN("grey") { @Override public Integer apply(String s) { return tone.length() - s.length(); } };
        final String tone;
        Weather(String tone) { this.tone = tone; }
    }

    public record Sale(String name, int count, double... prices) {
        public Sale { if (count < 0) throw new IllegalArgumentException("count " + count); }
        Sale(String name) { this(name, 1); }
        double total() { double sum = 0; for (double p : prices) sum += p * count(); return sum; }
    }

    sealed interface Visitor permits Buyer, Thief { default String greet() { return "hello " + getClass().getSimpleName(); } }
    static final class Buyer implements Visitor { List<Sale> bag = new ArrayList<>(); }
    static final class Thief implements Visitor { public String greet() { return Visitor.super.greet().toUpperCase(); } }
    @interface Stable { int value() default 3; String[] names() default {}; }

    abstract <R extends Number> R count(Function<? super T, ? extends R> by, int... extra);

    @Override public Iterator<T> iterator() {
        return new Iterator<T>() {
            int at;
            @Override public boolean hasNext() { return at < stalls.length; }
            @Override public T next() { return stalls[at++]; }
        };
    }

    Map<Weather, List<Sale>> sorted(Collection<Sale> sales) {
        return sales.stream().filter(s -> s.total() > 0).collect(Collectors.groupingBy(s -> s.count() % 2 == 0 ? Weather.SUN : Weather.RAIN));
    }

    int serve(Object who) {
        if (who instanceof Buyer b && !b.bag.isEmpty()) { var first = b.bag.get(0); return (int) first.total(); }
        int worth = switch (who.hashCode() % 3) { case 0, 1 -> 7; default -> { try { yield Integer.parseInt(who.toString()); } catch (NumberFormatException | NullPointerException e) { yield -1; } finally { open--; } } };
        outer:
        for (int i = 0, j = 9; i < j; i++, j--) { while (true) { if (i > 3) break outer; else continue outer; } }
        do { synchronized (this) { worth <<= 1; } } while (worth < 100 && worth != 0);
        assert worth > 0 : "no worth";
        try (var m = new java.io.StringReader("x"); Market<T> self = this) { m.read(); } catch (final Exception e) { throw new RuntimeException(e); }
        Runnable later = () -> { class Local { void go() { Market.this.serve(null); } } new Local().go(); };
        Function<String, Sale> make = Sale::new;
        Comparator<Sale> by = Comparator.comparing(Sale::name).thenComparing(Sale::total);
        later.run(); switch (worth) { case 1: worth++; case 2: break; default: worth = ~worth; }
        return make.apply("x").count() + (by.compare(null, null) > 0 ? worth : closed[0]);
    }

    @Override public void close() { Arrays.stream(stalls).forEach(Runnable::run); }
}
