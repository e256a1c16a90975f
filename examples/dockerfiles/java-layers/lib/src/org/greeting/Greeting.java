package org.greeting;

/** How one greets. */
public final class Greeting {
    private Greeting() {}

    public static String to(String whom) {
        return "Hello, " + whom;
    }
}
