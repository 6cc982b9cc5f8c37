package halley;

import jakarta.servlet.GenericServlet;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.cometd.bayeux.server.BayeuxServer;
import org.cometd.bayeux.server.ServerMessage;
import org.cometd.bayeux.server.ServerSession;
import org.cometd.client.http.jetty.JettyHttpClientTransport;
import org.cometd.client.websocket.jakarta.WebSocketTransport;
import org.cometd.oort.Oort;
import org.cometd.server.BayeuxServerImpl;
import org.cometd.server.DefaultSecurityPolicy;
import org.cometd.server.http.JSONHttpTransport;
import org.cometd.server.http.JSONPHttpTransport;
import org.cometd.server.http.jakarta.CometDServlet;
import org.cometd.server.websocket.jetty.JettyWebSocketTransport;
import org.eclipse.jetty.client.HttpClient;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Context;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.ajax.JSON;
import org.eclipse.jetty.websocket.server.WebSocketUpgradeHandler;

/**
 * One server of CometD 8 with Oort, unchanged and embedded in Jetty.
 *
 * <p>Options: {@code --listen HOST:PORT} (port 0 takes a free one), {@code --secret TEXT},
 * {@code --observe CHANNEL,...}, {@code --cloud URL,...}, {@code --timeout MS}.</p>
 *
 * <p>It prints one JSON object a line on stdout: {@code ready} with its URL and Oort id,
 * {@code joined} and {@code left} with the other's, {@code refused} for each handshake with the Oort
 * extension that its policy turns away, {@code session} for each ordinary client. It stops in
 * order at a line {@code stop} on stdin, and when stdin ends.</p>
 */
public final class OortNode {
    public static void main(String[] args) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            options.put(args[i].replaceFirst("^--", ""), args[i + 1]);
        }
        String listen = options.getOrDefault("listen", "127.0.0.1:0");
        int colon = listen.lastIndexOf(':');

        Server server = new Server();
        ServerConnector connector = new ServerConnector(server, 1, 2);
        connector.setHost(listen.substring(0, colon));
        connector.setPort(Integer.parseInt(listen.substring(colon + 1)));
        connector.open();
        server.addConnector(connector);
        String url = "http://" + connector.getHost() + ":" + connector.getLocalPort() + "/cometd";

        // Long-polling is the servlet's; WebSocket is Jetty's handler before it.
        ServletContextHandler context = new ServletContextHandler("/", ServletContextHandler.SESSIONS);
        server.setHandler(context);
        context.insertHandler(WebSocketUpgradeHandler.from(server, context));
        BayeuxServerImpl bayeux = new BayeuxServerImpl();
        bayeux.setOption(Context.class.getName(), context.getContext());
        bayeux.setOption(BayeuxServerImpl.TRANSPORTS_OPTION, JettyWebSocketTransport.class.getName() + ","
            + JSONHttpTransport.class.getName() + "," + JSONPHttpTransport.class.getName());
        bayeux.setOption("timeout", options.getOrDefault("timeout", "20000"));
        bayeux.setOption("ws.cometdURLMapping", "/cometd/*");
        context.setAttribute(BayeuxServer.ATTRIBUTE, bayeux);
        ServletHolder cometd = new ServletHolder(CometDServlet.class);
        cometd.setAsyncSupported(true);
        cometd.setInitOrder(1);
        context.addServlet(cometd, "/cometd/*");
        OortServlet oort = new OortServlet(url, options);
        ServletHolder holder = new ServletHolder(oort);
        holder.setInitOrder(2);
        context.addServlet(holder, "/oort-configuration");

        server.start();
        emit("ready", "url", url, "oortId", oort.node.getId());

        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null && !line.equals("stop"); line = in.readLine()) {
            emit("unknown", "line", line);
        }
        oort.node.stop();
        server.stop();
        System.exit(0);
    }

    private static synchronized void emit(String event, String... fields) {
        Map<String, Object> out = new HashMap<>();
        out.put("event", event);
        for (int i = 0; i < fields.length; i += 2) {
            out.put(fields[i], fields[i + 1]);
        }
        System.out.println(new JSON().toJSON(out));
        System.out.flush();
    }

    private static List<String> list(String value) {
        return value == null || value.isEmpty() ? List.of() : Arrays.asList(value.split(","));
    }

    /** Starts Oort before the server accepts its first connection, so that no handshake escapes the policy. */
    private static final class OortServlet extends GenericServlet {
        private final String url;
        private final Map<String, String> options;
        private Oort node;

        private OortServlet(String url, Map<String, String> options) {
            this.url = url;
            this.options = options;
        }

        @Override
        public void init() throws ServletException {
            BayeuxServer bayeux = (BayeuxServer)getServletContext().getAttribute(BayeuxServer.ATTRIBUTE);
            node = new Oort(bayeux, url);
            // CometD's default transports, in its order. Oort 7.0 would look for the first under its old name.
            node.getClientTransportFactories().add(new WebSocketTransport.Factory());
            node.getClientTransportFactories().add(new JettyHttpClientTransport.Factory(new HttpClient()));
            if (options.containsKey("secret")) {
                node.setSecret(options.get("secret"));
            }
            node.addCometListener(new Oort.CometListener() {
                @Override
                public void cometJoined(Event event) {
                    emit("joined", "url", event.getCometURL(), "oortId", event.getCometId());
                }

                @Override
                public void cometLeft(Event event) {
                    emit("left", "url", event.getCometURL(), "oortId", event.getCometId());
                }
            });
            bayeux.setSecurityPolicy(new Policy(node));
            try {
                node.start();
            } catch (Exception x) {
                throw new ServletException(x);
            }
            list(options.get("observe")).forEach(node::observeChannel);
            list(options.get("cloud")).forEach(node::observeComet);
        }

        @Override
        public void service(ServletRequest request, ServletResponse response) throws IOException {
            response.getWriter().println(url);
        }
    }

    /** Lets ordinary clients in as the default policy does, and others' Oort handshakes only with the right secret. */
    private static final class Policy extends DefaultSecurityPolicy {
        private final Oort oort;

        private Policy(Oort oort) {
            this.oort = oort;
        }

        @Override
        public boolean canHandshake(BayeuxServer server, ServerSession session, ServerMessage message) {
            if (session.isLocalSession()) {
                return true;
            }
            Map<String, Object> ext = message.getExt();
            if (ext != null && ext.containsKey(Oort.EXT_OORT_FIELD)) {
                boolean allowed = oort.isOortHandshake(message);
                if (!allowed) {
                    emit("refused", "session", session.getId());
                }
                return allowed;
            }
            boolean allowed = super.canHandshake(server, session, message);
            if (allowed) {
                emit("session", "session", session.getId());
            }
            return allowed;
        }
    }
}
