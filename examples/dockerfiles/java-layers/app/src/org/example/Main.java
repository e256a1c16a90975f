package org.example;

import org.greeting.Greeting;

public final class Main {
    public static void main(String[] words) {
        System.out.println(Greeting.to(words.length > 0 ? words[0] : "world"));
    }
}
