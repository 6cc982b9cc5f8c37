package halley;

import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.cometd.bayeux.server.BayeuxServer;
import org.cometd.bayeux.server.ServerMessage;
import org.cometd.bayeux.server.ServerSession;
import org.cometd.server.BayeuxServerImpl;
import org.cometd.server.http.JSONHttpTransport;
import org.cometd.server.http.jakarta.CometDServlet;
import org.cometd.server.websocket.jetty.JettyWebSocketTransport;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Context;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.SecureRequestCustomizer;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.ssl.SslContextFactory;
import org.eclipse.jetty.websocket.server.WebSocketUpgradeHandler;

/**
 * CometD 8 by itself, unchanged and embedded in Jetty, at {@code /cometd}.
 *
 * <p>Options: {@code --listen HOST:PORT} (port 0 takes a free one), {@code --timeout MS}, {@code --name NAME},
 * {@code --trust true} (trustClientSession), {@code --tls-cert FILE} and {@code --tls-key FILE} (PEM; the key is one of
 * elliptic curves, in PKCS 8). It prints one line of JSON when it listens, and stops when stdin
 * ends. {@code /hello} says its name, and {@code /counters} what it has seen.</p>
 */
public final class Server {
    /** What the server has seen, as tests ask for it. Nothing of what it does depends on this. */
    private static final class Counters extends HttpServlet implements BayeuxServer.Extension, BayeuxServer.SessionListener {
        private final String name;
        private final AtomicInteger handshakes = new AtomicInteger();
        private final AtomicInteger unknown = new AtomicInteger();

        Counters(String name) {
            this.name = name;
        }

        @Override
        public void sessionAdded(ServerSession session, ServerMessage message) {
            handshakes.incrementAndGet();
        }

        @Override
        public boolean sendMeta(ServerSession session, ServerMessage.Mutable message) {
            Object error = message.get("error");
            if (error != null && error.toString().startsWith("402")) {
                unknown.incrementAndGet();
            }
            return true;
        }

        @Override
        protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
            if (request.getServletPath().equals("/hello")) {
                response.getWriter().print("hello from " + name + "\n");
                return;
            }
            response.setContentType("application/json");
            response.getWriter().print("{\"name\":\"" + name + "\",\"handshakes\":" + handshakes + ",\"unknown\":" + unknown + "}");
        }
    }

    /** Jetty's TLS, as its manual has it, with a certificate and its key. */
    private static ServerConnector secure(org.eclipse.jetty.server.Server server, Path cert, Path key) throws Exception {
        char[] password = "none".toCharArray();
        String base64 = Files.readString(key).replaceAll("-----.*-----|\\s", "");
        KeyStore keys = KeyStore.getInstance("PKCS12");
        keys.load(null, password);
        try (InputStream in = Files.newInputStream(cert)) {
            keys.setKeyEntry("server",
                KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(base64))), password,
                CertificateFactory.getInstance("X.509").generateCertificates(in).toArray(new Certificate[0]));
        }
        SslContextFactory.Server tls = new SslContextFactory.Server();
        tls.setKeyStore(keys);
        tls.setKeyStorePassword(new String(password));
        HttpConfiguration http = new HttpConfiguration();
        http.addCustomizer(new SecureRequestCustomizer());
        return new ServerConnector(server, tls, new HttpConnectionFactory(http));
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            options.put(args[i].replaceFirst("^--", ""), args[i + 1]);
        }
        String listen = options.getOrDefault("listen", "127.0.0.1:0");
        int colon = listen.lastIndexOf(':');

        org.eclipse.jetty.server.Server server = new org.eclipse.jetty.server.Server();
        boolean tls = options.containsKey("tls-cert");
        ServerConnector connector = tls
            ? secure(server, Path.of(options.get("tls-cert")), Path.of(options.get("tls-key"))) : new ServerConnector(server);
        connector.setHost(listen.substring(0, colon));
        connector.setPort(Integer.parseInt(listen.substring(colon + 1)));
        connector.setAcceptQueueSize(4096); // many clients come at once
        server.addConnector(connector);

        // Long-polling is the servlet's; WebSocket is Jetty's handler before it.
        ServletContextHandler context = new ServletContextHandler("/", ServletContextHandler.NO_SESSIONS);
        server.setHandler(context);
        context.insertHandler(WebSocketUpgradeHandler.from(server, context));
        BayeuxServerImpl bayeux = new BayeuxServerImpl();
        bayeux.setOption(Context.class.getName(), context.getContext());
        bayeux.setOption(BayeuxServerImpl.TRANSPORTS_OPTION,
            JettyWebSocketTransport.class.getName() + "," + JSONHttpTransport.class.getName());
        bayeux.setOption("timeout", options.getOrDefault("timeout", "20000"));
        bayeux.setOption("trustClientSession", options.getOrDefault("trust", "false"));
        bayeux.setOption("ws.cometdURLMapping", "/cometd/*");
        Counters counters = new Counters(options.getOrDefault("name", "cometd"));
        bayeux.addExtension(counters);
        bayeux.addListener(counters);
        context.setAttribute(BayeuxServer.ATTRIBUTE, bayeux);
        ServletHolder cometd = new ServletHolder(CometDServlet.class);
        cometd.setAsyncSupported(true);
        cometd.setInitOrder(1);
        context.addServlet(cometd, "/cometd/*");
        context.addServlet(new ServletHolder(counters), "/counters");
        context.addServlet(new ServletHolder(counters), "/hello");

        server.start();
        System.out.println("{\"event\":\"ready\",\"url\":\"http" + (tls ? "s" : "") + "://" + connector.getHost() + ":" + connector.getLocalPort() + "/cometd\"}");
        System.out.flush();
        while (System.in.read() >= 0) {
            // Nothing is said to it.
        }
        server.stop();
        System.exit(0);
    }
}
