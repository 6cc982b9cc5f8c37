package halley;

import java.util.HashMap;
import java.util.Map;
import org.cometd.bayeux.server.BayeuxServer;
import org.cometd.server.BayeuxServerImpl;
import org.cometd.server.http.JSONHttpTransport;
import org.cometd.server.http.jakarta.CometDServlet;
import org.cometd.server.websocket.jetty.JettyWebSocketTransport;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Context;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.websocket.server.WebSocketUpgradeHandler;

/**
 * CometD 8 by itself, unchanged and embedded in Jetty, at {@code /cometd}.
 *
 * <p>Options: {@code --listen HOST:PORT} (port 0 takes a free one), {@code --timeout MS}. It prints one line of
 * JSON when it listens, and stops when stdin ends.</p>
 */
public final class Server {
    public static void main(String[] args) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            options.put(args[i].replaceFirst("^--", ""), args[i + 1]);
        }
        String listen = options.getOrDefault("listen", "127.0.0.1:0");
        int colon = listen.lastIndexOf(':');

        org.eclipse.jetty.server.Server server = new org.eclipse.jetty.server.Server();
        ServerConnector connector = new ServerConnector(server);
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
        bayeux.setOption("ws.cometdURLMapping", "/cometd/*");
        context.setAttribute(BayeuxServer.ATTRIBUTE, bayeux);
        ServletHolder cometd = new ServletHolder(CometDServlet.class);
        cometd.setAsyncSupported(true);
        cometd.setInitOrder(1);
        context.addServlet(cometd, "/cometd/*");

        server.start();
        System.out.println("{\"event\":\"ready\",\"url\":\"http://" + connector.getHost() + ":" + connector.getLocalPort() + "/cometd\"}");
        System.out.flush();
        while (System.in.read() >= 0) {
            // Nothing is said to it.
        }
        server.stop();
        System.exit(0);
    }
}
