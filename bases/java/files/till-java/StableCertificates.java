import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.*;

/** Gives every certificate of a JKS trust store the same date, so that the same certificates are the same bytes. */
class StableCertificates {
    private static final int JKS = 0xfeedfeed;
    private static final int CERTIFICATE = 2;
    /** Begins what the sum at the end is made of, after the password (sun.security.provider.JavaKeyStore). */
    private static final String WHITENER = "Mighty Aphrodite";

    public static void main(String[] arguments) throws Exception {
        Path store = Path.of(arguments[0]);
        long date = Long.parseLong(arguments[2]) * 1000;
        DataInputStream in = new DataInputStream(new ByteArrayInputStream(Files.readAllBytes(store)));
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        if (in.readInt() != JKS) {
            throw new IOException(store + " is not a JKS store");
        }
        out.writeInt(JKS);
        out.writeInt(in.readInt());
        int count = in.readInt();
        out.writeInt(count);
        for (int number = 0; number < count; number++) {
            int kind = in.readInt();
            if (kind != CERTIFICATE) {
                throw new IOException(store + " holds more than certificates");
            }
            out.writeInt(kind);
            out.writeUTF(in.readUTF());
            in.readLong();
            out.writeLong(date);
            out.writeUTF(in.readUTF());
            byte[] certificate = new byte[in.readInt()];
            in.readFully(certificate);
            out.writeInt(certificate.length);
            out.write(certificate);
        }
        MessageDigest sum = MessageDigest.getInstance("SHA");
        sum.update(arguments[1].getBytes(StandardCharsets.UTF_16BE));
        sum.update(WHITENER.getBytes(StandardCharsets.UTF_8));
        out.write(sum.digest(bytes.toByteArray()));
        Files.write(store, bytes.toByteArray());
        // It is read as anybody would read it.
        KeyStore.getInstance(store.toFile(), arguments[1].toCharArray());
    }
}
