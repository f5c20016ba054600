import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import java.util.concurrent.CompletableFuture;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/**
 * Connects over TLS with a client certificate, once for each line of a file:
 * {@code connect|serve KIND KEYSTORE TRUSTSTORE PORT}. With {@code serve} the other side is this JVM too, with
 * the same stores. Prints one line for each: the protocol and the server's name, or why there was no connection.
 */
public class Connect {
    static char[] password;

    public static void main(String[] args) throws Exception {
        password = Files.readString(Path.of(args[1])).toCharArray();
        for (String line : Files.readAllLines(Path.of(args[0]))) {
            String[] words = line.split(" ");
            try {
                SSLContext context = context(words[1], words[2], words[3]);
                int port = words[0].equals("serve") ? serve(context) : Integer.parseInt(words[4]);
                System.out.println(connect(context, port));
            } catch (Exception e) {
                System.out.println("failed " + e);
            }
        }
    }

    static SSLContext context(String kind, String keys, String trust) throws Exception {
        KeyManagerFactory keyManagers = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keyManagers.init(kind.equals("PEM") ? pemKeys(keys) : load(kind, keys), password);
        TrustManagerFactory trustManagers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trustManagers.init(kind.equals("PEM") ? pemTrust(trust) : load(kind, trust));
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keyManagers.getKeyManagers(), trustManagers.getTrustManagers(), null);
        return context;
    }

    static KeyStore load(String kind, String file) throws Exception {
        KeyStore store = KeyStore.getInstance(kind);
        try (InputStream in = Files.newInputStream(Path.of(file))) {
            store.load(in, password);
        }
        return store;
    }

    static KeyStore pemTrust(String file) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, password);
        int number = 0;
        for (Certificate certificate : certificates(Files.readAllBytes(Path.of(file)))) {
            store.setCertificateEntry("ca-" + number++, certificate);
        }
        return store;
    }

    static KeyStore pemKeys(String file) throws Exception {
        String text = Files.readString(Path.of(file));
        String end = "-----END PRIVATE KEY-----";
        int split = text.indexOf(end) + end.length();
        String body = text.substring(0, split).replaceAll("-----[^-]+-----|\\s", "");
        byte[] encoded = Base64.getDecoder().decode(body);
        Collection<? extends Certificate> chain =
                certificates(text.substring(split).getBytes(StandardCharsets.UTF_8));
        Certificate[] certificates = chain.toArray(new Certificate[0]);
        String algorithm = certificates[0].getPublicKey().getAlgorithm();
        PrivateKey key = KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(encoded));
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, password);
        store.setKeyEntry("key", key, password, certificates);
        return store;
    }

    static Collection<? extends Certificate> certificates(byte[] text) throws Exception {
        return CertificateFactory.getInstance("X.509").generateCertificates(new ByteArrayInputStream(text));
    }

    /** Serves one connection, and answers it only if the client has shown a certificate. */
    static int serve(SSLContext context) throws Exception {
        SSLServerSocket listener = (SSLServerSocket)
                context.getServerSocketFactory().createServerSocket(0, 1, InetAddress.getLoopbackAddress());
        listener.setNeedClientAuth(true);
        CompletableFuture.runAsync(() -> {
            try (listener; SSLSocket socket = (SSLSocket) listener.accept()) {
                socket.startHandshake();
                socket.getSession().getPeerPrincipal();
                socket.getInputStream().read();
                socket.getOutputStream().write("HTTP/1.0 200 ok\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            } catch (Exception e) {
                System.err.println("server: " + e);
            }
        });
        return listener.getLocalPort();
    }

    static String connect(SSLContext context, int port) throws Exception {
        try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket("localhost", port)) {
            socket.setSoTimeout(20_000);
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            socket.startHandshake();
            // In TLS 1.3 the server judges the client's certificate after the client's handshake is over.
            socket.getOutputStream().write("GET / HTTP/1.0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            String answer = new String(socket.getInputStream().readNBytes(12), StandardCharsets.US_ASCII);
            if (!answer.equals("HTTP/1.0 200")) {
                return "failed: the server said " + answer;
            }
            return "connected " + socket.getSession().getProtocol() + " " + socket.getSession().getPeerPrincipal();
        }
    }
}
